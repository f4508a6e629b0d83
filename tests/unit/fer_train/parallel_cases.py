"""The runs whose weights two processes and one must agree on: without dropout, whose masks are each process's own.

What rounds differently grows with each step, in SENet faster: it runs fewer of them, at a lower rate.
"""

from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "net": {"dropout": 0.0},
    "net without average": {"dropout": 0.0, "ema_decay": 0.0, "max_grad_norm": 1.0, "class_weights": "balanced"},
    "net with mixing": {"dropout": 0.0, "mix": {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "probability": 0.8}},
    "senet": {"dropout": 0.0, "model": "senet", "num_epochs": 1, "learning_rate": 0.005, "image_size": 24},
    "senet with mixing": {
        "dropout": 0.0,
        "model": "senet",
        "num_epochs": 1,
        "learning_rate": 0.005,
        "image_size": 24,
        "mix": {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "probability": 0.8},
    },
}
