"""Forward a program that moved into fer-train."""

import sys
from importlib import import_module
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"


def forward(command: str) -> None:
    """Run `fer-train COMMAND` with the arguments of this program. --publish was a flag, for benchmarks/results."""
    words = [f"--publish={RESULTS}" if word == "--publish" else word for word in sys.argv[1:]]
    sys.argv = ["fer-train", command, *words]
    import_module("fer_train.__main__").main()
