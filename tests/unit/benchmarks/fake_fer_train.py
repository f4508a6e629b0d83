"""Stands in for `python -m fer_train` in tests of the sweep: writes what its commands write, at once, without torch.

Every call is a line of $FAKE_CALLS. A run whose config says learning_rate 9 fails, one that says 8 waits for SIGTERM
after its first epoch. Accuracy is a hundredth of the seed.
"""

import json
import os
import signal
import struct
import sys
import time
from itertools import pairwise
from pathlib import Path

import yaml


def release(path: Path, accuracy: float) -> None:
    """Write a safetensors file of no tensors with the least ModelSpec that the sweep reads."""
    measured = {"accuracy": accuracy, "f1": accuracy / 2}
    spec = {"metrics": {"PublicTest": {"plain": measured, "flip": measured | {"accuracy": accuracy + 0.001}}}}
    header = json.dumps({"__metadata__": {"fer_model_spec": json.dumps(spec)}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def train(flags: dict[str, str]) -> None:
    config, out = yaml.safe_load(Path(flags["--config"]).read_text()), Path(flags["--out"])
    sys.stdout.write("training\n")
    if config["learning_rate"] == 9:
        sys.stdout.write("error: the loss became nan\n")
        sys.exit(9)
    (out / "last.pt").write_text("state")
    if config["learning_rate"] == 8 and "--resume" not in flags:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        Path(os.environ["FAKE_CALLS"] + ".waiting").touch()
        time.sleep(60)
    (out / "history.json").write_text(json.dumps([{"seconds": 60}, {"seconds": 30}]))
    (out / "final.safetensors").write_text(str(config["seed"] / 100))


def main() -> None:
    command, *words = sys.argv[1:]
    with Path(os.environ["FAKE_CALLS"]).open("a") as file:
        file.write(json.dumps([command, *words]) + "\n")
    flags = dict(zip(words, [*words[1:], ""], strict=True))
    if command == "train":
        train(flags)
    elif command == "release":
        release(Path(flags["--out"]), float(Path(flags["--checkpoint"]).read_text()))
    else:
        members = [word for flag, word in pairwise(words) if flag == "--checkpoint"]
        views = {view: {"equal": {"accuracy": 0.5}} for view in ("plain", "flip")}
        Path(flags["--out"]).write_text(json.dumps({
            "members": [{"path": path, "weight": 1 / len(members)} for path in members],
            "measured": {"notes": {"equal": "equal weights"}, "views": views},
        }))  # fmt: skip


if __name__ == "__main__":
    main()
