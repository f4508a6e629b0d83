"""open_at: open a recording so that its next frame is that of a position, proven where the position was decoded."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import VideoDecoder
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.seeking.position import Position, SeekFailed
from fer_deploy.live.sources.video import RESTART, VideoSource, open_file

Way = Literal["start", "sought", "skipped", "decoded"]
"""How a reader got to a position: it is the first frame, or a seek found it, or packets or frames were skipped."""
_NUM_KEYFRAMES: Final = 3
"""Keyframes that are tried, each before the other: the frames after one may need the one before."""


class OpenedAt(NamedTuple):
    """A source whose next frame is that of a position.

    Attributes:
        source: opened; the caller closes it.
        way: how it got there.
        why: why it did not seek, as text; empty if it did.
    """

    source: VideoSource
    way: Way
    why: str = ""


class _Attempt(NamedTuple):
    packet: int
    by_seeking: bool


def open_at(
    path: Path,
    position: Position,
    index: PacketIndex | None,
    *,
    on_skip: Callable[[int], bool] = lambda index: True,
    decodes: bool = True,
) -> OpenedAt | None:
    """Open a recording at a position; None if `on_skip` returned False.

    It seeks to a keyframe before the frame, decodes, and discards frames until its presentation time. The frame is
    compared with the position. If it is another one, an earlier keyframe is tried, then the same without a seek (all
    packets are read, those before the keyframe are not decoded), and at last every frame is decoded from the start.

    Args:
        path: of the file, with an optional #N for the stream.
        position: where to begin. A predicted position is compared by its presentation time only.
        index: of the file's packets; None: every frame is decoded from the start.
        on_skip: called with the index of each frame that is decoded from the start; returns False to stop.
        decodes: whether every frame may be decoded from the start.

    Raises:
        SeekFailed: the position does not exist, or `decodes` is False and no keyframe leads to it.
        StreamError: the file cannot be opened or read.
    """
    if position.index == 0 and not position.is_predicted:
        return OpenedAt(open_file(path), "start")
    why = "there is no index of its packets"
    if index is not None:
        why = index.why_not
        for attempt in _attempts(index, position):
            try:
                source = _begun(path, position, index, attempt)
            except SeekFailed as err:
                why = str(err).partition(" Fix: ")[0]
            else:
                return OpenedAt(source, "sought" if attempt.by_seeking else "skipped", why)
    if not decodes:
        raise SeekFailed(f"{path} cannot be read from frame {position.index}: {why}")
    decoded = _decoded(path, position, on_skip)
    return None if decoded is None else OpenedAt(decoded, "decoded", why)


def _attempts(index: PacketIndex, position: Position) -> Iterator[_Attempt]:
    if position.pts is None:
        return
    found = index.keyframes_before(position.pts, damaged_until=position.damaged_until)
    packets = list(itertools.islice(found, _NUM_KEYFRAMES))
    yield from (_Attempt(packet, by_seeking=True) for packet in packets)
    yield from (_Attempt(packet, by_seeking=False) for packet in packets)


def _begun(path: Path, position: Position, index: PacketIndex, attempt: _Attempt) -> VideoSource:
    try:
        source = open_file(path, partial(_begin, index, attempt))
    except SeekFailed:
        raise
    except StreamError as err:
        raise SeekFailed(str(err)) from err
    try:
        source.begin_at(position, num_hidden_before=index.num_hidden_before)
    except BaseException:
        source.close()
        raise
    return source


def _begin(index: PacketIndex, attempt: _Attempt, decoder: VideoDecoder) -> None:
    index.begin(decoder, attempt.packet, by_seeking=attempt.by_seeking)


def _decoded(path: Path, position: Position, on_skip: Callable[[int], bool]) -> VideoSource | None:
    source = open_file(path)
    try:
        for number in range(position.index):
            if not on_skip(number):
                source.close()
                return None
            if not source.skip():
                raise StreamError(
                    f"{source.name} ends at frame {number}, but {position.index} frames could be decoded before. "
                    f"{RESTART}"
                )
    except BaseException:
        source.close()
        raise
    return source
