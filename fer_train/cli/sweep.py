"""fer-train sweep: the work behind its flags."""

from fer_train.sweep.command import sweep_plan as sweep

__all__ = ["sweep"]
