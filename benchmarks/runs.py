"""The table of runs is a command now: fer-train runs. This program runs it; --publish means benchmarks/results."""

from harness.forward import forward

if __name__ == "__main__":
    forward("runs")
