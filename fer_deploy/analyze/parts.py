"""Parts: the folder of a video's unfinished results, until they are joined."""

import fcntl
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from fer_deploy.analyze.whole_file import writing
from fer_deploy.errors import ConfigError
from fer_deploy.files.durable import sync
from fer_deploy.live.seeking.packet_index import PacketIndex

TABLES: Final = ("parquet", "csv", "frames.parquet", "frames.csv")
"""Kinds of parts: of faces and of frames, as the sinks write them."""
VIDEO: Final = "mp4"
OBSERVATIONS: Final = "observations.parquet"
"""Kind of the parts that are removed once they are replayed."""
PARTS: Final = "parts"
"""The folder's name beside the results."""
_LOCK: Final = "lock"
_CHECKPOINT: Final = "checkpoint.json"
_PACKETS: Final = "packets.npz"
_PART: Final = re.compile(r"(?P<segment>\d{6})\.(frames\.|\d+\.observations\.)?(parquet|csv|mp4)")
_UNFINISHED: Final = re.compile(r"(?P<stem>.+)\.\d+\.part(\.indexed|\.joined)?(?P<suffix>\.\w+)")
"""Names from `unfinished_path`, and the names that the video and Parquet sinks derive from them."""


def finished_name(name: str) -> str | None:
    """Return the final name of an unfinished file; None for any other file."""
    unfinished = _UNFINISHED.fullmatch(name)
    return None if unfinished is None else unfinished["stem"] + unfinished["suffix"]


class Parts:
    """Part files by segment and kind, and the checkpoint that says which of them are valid.

    A segment's files are written first, then the checkpoint; files beyond the checkpoint are left by a killed run.
    As a context manager it locks the folder against other processes; the system releases the lock when this one ends.
    """

    def __init__(self, folder: Path) -> None:
        """Set the folder; it is not created yet."""
        self.folder = folder
        self._lock: IO[bytes] | None = None

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint."""
        return self.folder / _CHECKPOINT

    @property
    def packets(self) -> Path:
        """Path of the index of the video's packets."""
        return self.folder / _PACKETS

    def packet_index(self) -> PacketIndex | None:
        """Return the index of the video's packets, if there is one."""
        return PacketIndex.load(self.packets)

    @property
    def is_ours(self) -> bool:
        """Whether an analysis created the folder: its lock is created first and deleted last."""
        return any((self.folder / name).exists() for name in (_LOCK, _CHECKPOINT))

    @property
    def is_empty(self) -> bool:
        """Whether the folder is missing or empty."""
        return not os.path.lexists(self.folder) or (self.folder.is_dir() and not any(self.folder.iterdir()))

    def path(self, segment: int, kind: str) -> Path:
        """Return the path of a segment's part of a kind."""
        return self.folder / f"{segment:06}.{kind}"

    def paths(self, num_segments: int, kind: str) -> list[Path]:
        """Return the parts of a kind in their order."""
        return [self.path(segment, kind) for segment in range(num_segments)]

    def sync(self, segment: int) -> None:
        """Flush a segment's files to the disk, before the checkpoint that counts them."""
        with writing(self.folder):
            for path in self.folder.glob(f"{segment:06}.*"):
                sync(path)
            sync(self.folder)

    def remove_beyond(self, num_segments: int) -> None:
        """Remove the parts beyond the checkpoint, and unfinished ones; files of other names stay."""
        with writing(self.folder):
            for path in self.folder.iterdir():
                if _is_beyond(path.name, num_segments):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()  # an unfinished Parquet file is a folder

    def clear(self) -> None:
        """Remove all parts and the checkpoint."""
        with writing(self.folder):
            self.checkpoint.unlink(missing_ok=True)
            self.packets.unlink(missing_ok=True)
        self.remove_beyond(0)

    def remove(self) -> None:
        """Remove the parts after the results are complete, and their folder if it is empty."""
        self.clear()
        with writing(self.folder):
            (self.folder / _LOCK).unlink(missing_ok=True)  # last: it marks the folder as ours
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def discard(self) -> None:
        """Remove the parts of a video that cannot be analyzed, and the folder around them if it is empty, too."""
        self.remove()
        with suppress(OSError):  # it has results of an earlier run, or files of the user
            self.folder.parent.rmdir()

    def __enter__(self) -> Self:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            self._lock.close()
            raise ConfigError(
                f"another fer-deploy analyze is running in {self.folder.parent}. Fix: wait for it, or another --out"
            ) from err
        os.set_inheritable(self._lock.fileno(), False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        self._lock.close()


def _is_beyond(name: str, num_segments: int) -> bool:
    unfinished = finished_name(name)
    part = _PART.fullmatch(unfinished or name)
    if part is None:
        return unfinished in (_CHECKPOINT, _PACKETS)
    return unfinished is not None or int(part["segment"]) >= num_segments
