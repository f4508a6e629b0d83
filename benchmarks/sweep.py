"""The sweep is a command now: fer-train sweep. This program runs it; --publish means benchmarks/results."""

from harness.forward import forward

if __name__ == "__main__":
    forward("sweep")
