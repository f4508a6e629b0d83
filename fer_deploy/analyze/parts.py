"""Parts: the folder in which a video's unfinished results lie, until they are joined."""

import fcntl
import os
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from fer_deploy.analyze.whole_file import writing
from fer_deploy.durable import sync
from fer_deploy.errors import ConfigError

TABLES: Final = ("parquet", "csv", "frames.parquet", "frames.csv")
"""Kinds of parts: of faces and of frames, as the sinks write them."""
VIDEO: Final = "mp4"
PARTS: Final = "parts"
"""The folder's name beside the results."""
_LOCK: Final = "lock"
_PART: Final = re.compile(r"(?P<segment>\d{6})\.(frames\.)?(parquet|csv|mp4)")


class Parts:
    """Part files by segment and kind, and the checkpoint that says which of them count.

    A segment's files are written first, then the checkpoint; what lies beyond it is left of a run that was killed.
    A context manager that holds the folder against other processes; the system lets go of it however this one ends.
    """

    def __init__(self, folder: Path) -> None:
        """Name a folder; nothing is made yet."""
        self.folder = folder
        self._lock: IO[bytes] | None = None

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint is."""
        return self.folder / "checkpoint.json"

    def path(self, segment: int, kind: str) -> Path:
        """Return where a segment's part of a kind is."""
        return self.folder / f"{segment:06}.{kind}"

    def paths(self, num_segments: int, kind: str) -> list[Path]:
        """Return the parts of a kind in their order."""
        return [self.path(segment, kind) for segment in range(num_segments)]

    def sync(self, segment: int) -> None:
        """Bring a segment's files onto the disk, ahead of the checkpoint that counts them."""
        with writing(self.folder):
            for path in self.folder.glob(f"{segment:06}.*"):
                sync(path)
            sync(self.folder)

    def remove_beyond(self, num_segments: int) -> None:
        """Remove everything that no checkpoint counts."""
        kept = {self.checkpoint.name, _LOCK}
        with writing(self.folder):
            for path in self.folder.iterdir():
                part = _PART.fullmatch(path.name)
                if path.name in kept or (part is not None and int(part["segment"]) < num_segments):
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def clear(self) -> None:
        """Forget everything, also the checkpoint."""
        with writing(self.folder):
            self.checkpoint.unlink(missing_ok=True)
        self.remove_beyond(0)

    def remove(self) -> None:
        """Remove the folder, once the results are whole."""
        with writing(self.folder):
            shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            self._lock.close()
            raise ConfigError(
                f"another fer-deploy analyze works in {self.folder.parent}. Fix: wait for it, or another --out"
            ) from err
        os.set_inheritable(self._lock.fileno(), False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        self._lock.close()
