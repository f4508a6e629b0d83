"""recorded_date: the day on which a video was recorded, as far as its file says."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

import av

from fer_deploy.live.file_names import file_and_stream

_KEYS: Final = ("com.apple.quicktime.creationdate", "creation_time")
"""Of a container, the first one that is there: Apple's has the local time, the other one is UTC."""
_FIRST: Final = date(1971, 1, 1)
"""A camera or program without a clock writes the beginning of its time: 1904 or 1970."""


class Recorded(NamedTuple):
    """A day as YYYY-MM-DD, and where it is from: `creation_time` or `modified`; both are empty if it is not known."""

    date: str = ""
    date_from: str = ""


def recorded_date(path: Path, written_s: float) -> Recorded:
    """Return the day of the container's creation time, else of the last change of the file, in UTC.

    Args:
        path: the video, on this machine.
        written_s: when its file was written, in seconds since 1970; 0 if unknown.
    """
    told = _metadata(file_and_stream(path)[0])
    for text in (metadata[key] for key in _KEYS for metadata in told if key in metadata):
        try:
            day = datetime.fromisoformat(text).date()
        except ValueError:
            continue
        if day >= _FIRST:
            return Recorded(day.isoformat(), "creation_time")
    if written_s <= 0:
        return Recorded()
    return Recorded(datetime.fromtimestamp(written_s, UTC).date().isoformat(), "modified")


def _metadata(path: Path) -> list[dict[str, str]]:
    """Return what the container and its video streams say of themselves; nothing if FFmpeg cannot open it."""
    try:
        with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
            return [container.metadata, *(stream.metadata for stream in container.streams.video)]
    except (av.FFmpegError, OSError, ValueError):
        return []
