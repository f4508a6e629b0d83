"""save_index: read the packets of a video, and write their index for other processes and later runs."""

from collections.abc import Callable
from pathlib import Path

import av

from fer_deploy.analyze.whole_file import writing
from fer_deploy.live.seeking.packet_index import PacketIndex, index_of_file


def save_index(video: Path, path: Path, *, goes_on: Callable[[], bool] = lambda: True) -> PacketIndex | None:
    """Write the index of a video's packets, and return it; None if they cannot be read, or `goes_on` returned False.

    Raises:
        SinkError: it cannot be written.
    """
    try:
        index = index_of_file(video, goes_on=goes_on)
    except (av.FFmpegError, OSError, ValueError):
        return None  # decoding the video fails, too, and reports why
    if index is not None:
        with writing(path):
            index.save(path)
    return index
