"""A clock and a plan for tests of the sweep."""

import time
from pathlib import Path

FAKE = Path(__file__).with_name("fake_fer_train.py")


class Clock:
    """A substitute for `time`: an hour passes when a fake run waits, and no time otherwise."""

    def __init__(self, waiting):
        self.now = 0.0
        self.waiting = waiting

    def monotonic(self):
        return self.now

    def sleep(self, _):
        time.sleep(0.01)
        if self.waiting.exists():
            self.waiting.unlink()
            self.now += 3600


def short(calls):
    """Return the commands as "train net-1", "train net-1 --resume", "release net-1" and "ensemble"."""
    named = []
    for words in calls:
        out = Path(words[words.index("--out") + 1])
        run = {"train": [out.name], "release": [out.parent.name]}.get(words[0], [])
        named.append(" ".join([words[0], *run, *(word for word in words if word == "--resume")]))
    return named


FERPLUS = {"labels": "ferplus", "num_classes": 8}
