"""Shard: which segments a run takes, and in which order."""

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from fer_deploy.errors import ConfigError

_TEXT: Final = re.compile(r"(?P<number>\d+)/(?P<total>\d+)")
REMOTE_GROUP: Final = 64
"""Segments in a row of a video of another machine that one shard takes, about half an hour: it is copied for them."""


class Shard(NamedTuple):
    """Shard `number`, from 1, of `total`."""

    number: int = 1
    total: int = 1

    @classmethod
    def of(cls, text: str, environment: Mapping[str, str] = os.environ) -> "Shard":
        """Parse `3/16`, or `slurm`, which reads the variables of a Slurm array.

        Raises:
            ConfigError: it is neither, or the variables are missing.
        """
        if text == "slurm":
            return cls._of_slurm(environment)
        found = _TEXT.fullmatch(text)
        shard = None if found is None else cls(int(found["number"]), int(found["total"]))
        if shard is None or not 1 <= shard.number <= shard.total:
            raise ConfigError(f"--shard is {text}, expected I/N with I from 1 to N, or slurm. Fix: --shard 1/4")
        return shard

    @classmethod
    def _of_slurm(cls, environment: Mapping[str, str]) -> "Shard":
        names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
        number, first, count = (environment.get(name, "") for name in names)
        if not (number.isdecimal() and count.isdecimal() and (first or "0").isdecimal()):
            raise ConfigError(
                f"--shard slurm needs {names[0]} and {names[2]}, which a Slurm array sets. "
                "Fix: sbatch --array=1-16, or --shard I/N"
            )
        place = int(number) - int(first or "0") + 1 if first else int(number)
        if not 1 <= place <= int(count):
            raise ConfigError(f"the array's task is {number} of {count}. Fix: an array without gaps, --array=1-{count}")
        return cls(place, int(count))

    def takes(self, shard_of_segment: int) -> bool:
        """Return whether a segment is of this shard."""
        return shard_of_segment % self.total == self.number - 1

    def __str__(self) -> str:
        """Return `I/N`."""
        return f"{self.number}/{self.total}"


WHOLE: Final = Shard()
"""All segments."""


def place_of(video_id: str, number: int, *, is_remote: bool) -> int:
    """Return a number from which the shard follows, and the order: the same on every machine.

    Segments of a remote video come in groups, so that it is copied to few machines.
    """
    group = number // REMOTE_GROUP if is_remote else number
    return int.from_bytes(hashlib.sha256(f"{video_id}\n{group}".encode()).digest()[:6], "big")
