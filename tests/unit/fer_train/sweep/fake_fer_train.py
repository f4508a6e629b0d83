"""A substitute for `python -m fer_train` in tests of the sweep: writes the files of its commands, without torch.

Every call appends a line to $FAKE_CALLS. The command $FAKE_FAILS fails. The learning_rate of a run's config selects a
behavior:

    9   training fails
    8   training waits for SIGTERM after its first epoch, unless it is resumed
    7   the first release waits for SIGTERM
    6   the release waits until two other runs are released
    5   the first release waits for SIGTERM between weights and card

Accuracy is a hundredth of the seed.
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


def wait_for_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Path(os.environ["FAKE_CALLS"] + ".waiting").touch()
    time.sleep(60)


def release(flags: dict[str, str]) -> None:
    """Write a safetensors file of no tensors with the least ModelSpec that the sweep reads."""
    out, run = Path(flags["--out"]), json.loads(Path(flags["--checkpoint"]).read_text())
    stopped = out.with_name("stopped")
    if run["learning_rate"] == 7 and not stopped.exists():
        stopped.touch()
        wait_for_sigterm()
    if run["learning_rate"] == 6:
        wait_for_two_releases(out.parent.parent)
    measured = {"accuracy": run["accuracy"], "f1": run["accuracy"] / 2}
    flip = measured | {"accuracy": run["accuracy"] + 0.001}
    spec = {"metrics": {"PublicTest": {"plain": measured, "flip": flip}}}
    header = json.dumps({"__metadata__": {"fer_model_spec": json.dumps(spec)}}).encode()
    out.write_bytes(struct.pack("<Q", len(header)) + header)
    if run["learning_rate"] == 5 and not stopped.exists():
        stopped.touch()
        wait_for_sigterm()
    out.with_suffix(".md").write_text("card")


def wait_for_two_releases(folder: Path) -> None:
    for _ in range(3000):
        if len(list(folder.glob("*/release.safetensors"))) == 2:
            return
        time.sleep(0.01)
    sys.exit("error: no other run was released in 30 seconds")


def train(flags: dict[str, str]) -> None:
    config, out = yaml.safe_load(Path(flags["--config"]).read_text()), Path(flags["--out"])
    sys.stdout.write("training\n")
    if config["learning_rate"] == 9:
        sys.stdout.write("error: the loss became nan\n")
        sys.exit(9)
    (out / "last.pt").write_text("state")
    (out / "config.yaml").write_text(Path(flags["--config"]).read_text())
    if config["learning_rate"] == 8 and "--resume" not in flags:
        wait_for_sigterm()
    made = {"accuracy": config["seed"] / 100, "learning_rate": config["learning_rate"]}
    (out / "final.safetensors").write_text(json.dumps(made))
    (out / "history.json").write_text(json.dumps([{"seconds": 60}, {"seconds": 30}]))


def main() -> None:
    command, *words = sys.argv[1:]
    with Path(os.environ["FAKE_CALLS"]).open("a") as file:
        file.write(json.dumps([command, *words]) + "\n")
    flags = dict(zip(words, [*words[1:], ""], strict=True))
    if command == os.environ.get("FAKE_FAILS"):
        sys.exit(f"error: {command} failed")
    if command == "train":
        train(flags)
    elif command == "release":
        release(flags)
    else:
        members = [word for flag, word in pairwise(words) if flag == "--checkpoint"]
        views = {view: {"equal": {"accuracy": 0.5}} for view in ("plain", "flip")}
        Path(flags["--out"]).write_text(
            json.dumps(
                {
                    "members": [
                        {"path": str(Path(*Path(path).parts[-2:])), "weight": 1 / len(members)} for path in members
                    ],
                    "measured": {"notes": {"equal": "equal weights"}, "views": views},
                }
            )
        )


if __name__ == "__main__":
    main()
