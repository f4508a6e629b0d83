"""Small films of the kinds that make seeking hard, and what a sequential read of them gives."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from cases.media_files import cut_with_edit_list, write_film
from cases.media_files import scenes as drawn_scenes

from fer_deploy.live.seeking.position import PROOF_FRAMES, Position, digest_of
from fer_deploy.live.sources.base import SourceHealth
from fer_deploy.live.sources.video import VideoSource, open_file
from fer_deploy.vision.types import Frame

NUM = 40
SIZE = (96, 64)
OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:min-keyint=10:bframes=3:scenecut=0"}
B_FRAMES = {"x264-params": "keyint=10:bframes=3:scenecut=0"}


@cache
def scenes(num: int, size: tuple[int, int]) -> list[np.ndarray]:
    return drawn_scenes(num, size)


class Read(NamedTuple):
    """Frames of a file, the position before each, and the source's health at the end."""

    frames: list[Frame]
    positions: list[Position]
    health: SourceHealth


def read(source: VideoSource) -> Read:
    frames, before = [], []
    for frame in source.frames():
        frames.append(frame)
        before.append(source.before)
    source.close()
    seen = [frame.frame_bgr for frame in frames]
    digests = [digest_of(seen[start : start + PROOF_FRAMES]) for start in range(len(seen))]
    positions = [one.model_copy(update={"digest": digest}) for one, digest in zip(before, digests, strict=True)]
    return Read(frames, positions, source.health)


def read_file(path: Path) -> Read:
    return read(open_file(path))


def as_transport_stream(path: Path) -> Path:
    with av.open(str(path)) as source, av.open(str(path.with_suffix(".ts")), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    return path.with_suffix(".ts")


def _open_gop(folder: Path) -> Path:
    return write_film(folder / "open.mp4", scenes(NUM, SIZE), options=OPEN_GOP)


def _uneven(folder: Path) -> Path:
    times = [index + 3 * (index // 5) for index in range(NUM)]
    return write_film(folder / "uneven.mp4", scenes(NUM, SIZE), options=B_FRAMES, times=times)


def _edit_list(folder: Path) -> Path:
    whole = write_film(folder / "whole.mp4", scenes(NUM, SIZE), options=B_FRAMES)
    return cut_with_edit_list(whole, folder / "cut.mp4", first=4)


def damaged(path: Path, *, place: float, num: int) -> Path:
    """Overwrite so many bytes with zeros."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * place)
    content[start : start + num] = bytes(num)
    path.write_bytes(content)
    return path


def _damaged(folder: Path) -> Path:
    film = write_film(folder / "damaged.mp4", scenes(NUM, SIZE), options=B_FRAMES)
    return damaged(film, place=1 / 3, num=100)


def _damaged_stream(folder: Path) -> Path:
    return damaged(as_transport_stream(_open_gop(folder)), place=1 / 3, num=400)


def _joined(folder: Path) -> Path:
    parts = [as_transport_stream(_open_gop(folder))]
    parts.append(as_transport_stream(write_film(folder / "wide.mp4", scenes(30, (128, 96)), options=B_FRAMES)))
    path = folder / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


FILMS: dict[str, Callable[[Path], Path]] = {
    "open GOP": _open_gop,
    "B-frames in Matroska": lambda folder: write_film(folder / "a.mkv", scenes(NUM, SIZE), options=B_FRAMES),
    "B-frames in AVI": lambda folder: write_film(
        folder / "a.avi", scenes(NUM, SIZE), "mpeg4", options={"bf": "2", "g": "10"}
    ),
    "uneven times": _uneven,
    "MPEG-TS": lambda folder: as_transport_stream(_open_gop(folder)),
    "edit list": _edit_list,
    "raw H.264": lambda folder: write_film(folder / "a.h264", scenes(NUM, SIZE), options=B_FRAMES, muxer="h264"),
    "MJPEG": lambda folder: write_film(folder / "a.avi", scenes(NUM, SIZE), "mjpeg", pix_fmt="yuvj420p"),
    "VP9": lambda folder: write_film(
        folder / "a.webm", scenes(NUM, SIZE), "libvpx-vp9", options={"g": "10", "deadline": "realtime", "cpu-used": "8"}
    ),
    "GIF": lambda folder: write_film(folder / "a.gif", scenes(NUM, SIZE), "gif", pix_fmt="rgb8"),
    "damaged packet": _damaged,
    "damaged stream": _damaged_stream,
    "joined byte by byte": _joined,
}
IN_ORDER = {"raw H.264": "no presentation times", "GIF": "no second keyframe"}
"""Films that are decoded from the start, and why."""
