"""Join parts into complete files, with one part at a time in memory."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import av

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks.video.joining import join_videos
from fer_deploy.live.sinks.video.sink import MIN_FREE_BYTES


def check_room(parts: Sequence[Path], folder: Path) -> None:
    """Check the free space before joining; the parts stay until the joined file is written.

    Raises:
        SinkError: the disk has too little space.
    """
    needed = sum(part.stat().st_size for part in parts) + MIN_FREE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SinkError(
            f"joining the results in {folder} needs {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free. Nothing "
            "is lost. Fix: free some space and give the same command again"
        )


def join_csv(parts: Sequence[Path], path: Path) -> None:
    """Join several CSV files with the same header into one."""
    with path.open("wb") as whole:
        for number, part in enumerate(parts):
            with part.open("rb") as file:
                header = file.readline()
                if number == 0:
                    whole.write(header)
                shutil.copyfileobj(file, whole)


def num_rows_in_csv(path: Path) -> int:
    """Return the number of rows after the header; no field contains a line break."""
    with path.open("rb") as file:
        return sum(1 for _ in file) - 1


def join_annotated(parts: Sequence[Path], starts_s: Sequence[float], path: Path) -> int:
    """Join several videos into one; see `join_videos`.

    Raises:
        SinkError: FFmpeg failed, or a part was encoded differently from the first.
    """
    try:
        return join_videos(parts, starts_s, path)
    except av.FFmpegError as err:
        raise SinkError(
            f"cannot join the annotated video {path}: {err}. Fix: free some space and give the same command again; if "
            "it stays, --restart"
        ) from err
