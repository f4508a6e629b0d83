"""fer-train runs: the work behind its flags."""

from fer_train.sweep.runs import tabulate_runs as runs

__all__ = ["runs"]
