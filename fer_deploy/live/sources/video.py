"""VideoSource: read a video file."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
from av.video.frame import VideoFrame

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import VideoDecoder, reason_from_error, silence_ffmpeg
from fer_deploy.live.capture.stream_choice import NoVideo
from fer_deploy.live.file_names import file_address, file_and_stream, printable
from fer_deploy.live.seeking.position import PROOF_FRAMES, Position, SeekFailed, digest_of
from fer_deploy.live.sources.base import Source
from fer_deploy.live.sources.clock import RecordingClock
from fer_deploy.vision.types import Frame

TOLERATED_SHARE = 0.01
"""Share of missing frames that is not reported: containers often announce one or two frames too many."""


class _Decoded(NamedTuple):
    """A decoded frame, None for a corrupt one, and the counts when it was decoded."""

    picture: VideoFrame | None
    num_corrupt: int
    num_packets: int


class Unconverted(NamedTuple):
    """A frame that is decoded, but not converted: conversion takes about as long as decoding, and may be needless.

    Attributes:
        time_s: its presentation time.
        before: position before it, without its digest; None for a picture.
        convert: returns the frame.
    """

    time_s: float
    before: Position | None
    convert: Callable[[], Frame]


RESTART: Final = "Fix: check the disk that holds it, or --restart"


class VideoSource(Source):
    """A video file; yields every frame in order. Damaged frames are skipped and counted.

    A truncated file, as after a power cut, ends after its last frame without an error, so that its results can be used.
    `health.num_missing` and `last_error` report what is missing.

    Attributes:
        path: of the file, with an optional #N for the stream.
        before: position before the frame that was yielded last, without its digest; None before the first.
    """

    is_live = False

    def __init__(self, decoder: VideoDecoder, name: str, path: Path) -> None:
        """Create a source from an opened decoder, which `close` closes; see `open_file`."""
        super().__init__()
        self._decoder, self.path = decoder, path
        self.name, self.fps, self.num_frames = name, decoder.fps, decoder.num_frames
        self.notes = decoder.notes
        self._index, self._clock = 0, RecordingClock()
        self._size: tuple[int, int] | None = None
        self._shown_until_s = 0.0
        self._num_corrupt_before = self._num_hidden_before = self._damaged_until = 0
        self.before: Position | None = None
        self._all = self._pictures()
        self._undamaged = self._in_time(self._all)

    @property
    def codec(self) -> str:
        """FFmpeg's name of the decoder."""
        return self._decoder.codec

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; `time_s` is the presentation time from `RecordingClock`.

        Raises:
            StreamError: no frame can be decoded.
        """
        for one in self.unconverted():
            yield one.convert()

    def unconverted(self) -> Iterator[Unconverted]:
        """Yield the frames before they are converted; otherwise as `frames`."""
        for picture, index, time_s in self._undamaged:
            yield Unconverted(time_s, self.before, partial(self._frame, picture, index, time_s))

    def _frame(self, picture: VideoFrame, index: int, time_s: float) -> Frame:
        pixels = np.ascontiguousarray(self._decoder.bgr_from_picture(picture))
        return Frame(pixels, index, time_s, time.monotonic_ns())

    def skip(self) -> bool:
        """Skip the next frame without converting it; it is counted like a yielded one.

        Returns:
            Whether there was a frame.

        Raises:
            StreamError: as `frames`.
        """
        return next(self._undamaged, None) is not None

    def begin_at(self, position: Position, *, num_hidden_before: Callable[[int], int]) -> None:
        """Discard frames until that of a position, and continue there. Its decoder begins before it.

        Args:
            position: of the frame that is yielded next.
            num_hidden_before: number of hidden packets before one.

        Raises:
            SeekFailed: there is no such frame, or it is another one.
        """
        for one in self._all:
            if self._stopped.is_set():
                return
            pts = None if one.picture is None else one.picture.pts
            if pts is None or position.pts is None or pts < position.pts:
                continue
            if pts != position.pts:
                break
            following = [one] if position.is_predicted else [one, *self._following(one, position)]
            self._restore(position, one, num_hidden_before)
            self._undamaged = self._in_time(itertools.chain(following, self._all))
            return
        raise SeekFailed(f"{self.name} has no frame {position.index} where it was. {RESTART}")

    def _following(self, first: _Decoded, position: Position) -> list[_Decoded]:
        """Compare decoded frames with those of a position, and return those after the first."""
        if first.num_packets != position.num_packets:
            raise SeekFailed(f"{self.name} gives frame {position.index} after another packet than before. {RESTART}")
        read = [first]
        while sum(one.picture is not None for one in read) < PROOF_FRAMES and (one := next(self._all, None)):
            read.append(one)
        pictures = (one.picture for one in read if one.picture is not None)
        if digest_of(map(self._decoder.bgr_from_picture, pictures)) != position.digest:
            raise SeekFailed(f"{self.name} has another frame {position.index} than before. {RESTART}")
        return read[1:]

    def _restore(self, position: Position, first: _Decoded, num_hidden_before: Callable[[int], int]) -> None:
        self._index, self._clock = position.index, RecordingClock.from_state(position.clock)
        self._size, self._shown_until_s = position.size, position.shown_until_s
        self.health.num_size_changes = position.num_size_changes
        self.health.num_corrupt, self._damaged_until = position.num_corrupt, position.damaged_until
        self._num_corrupt_before = position.num_corrupt - first.num_corrupt
        self._num_hidden_before = num_hidden_before(first.num_packets) - self._decoder.num_hidden

    def _in_time(self, all_decoded: Iterable[_Decoded]) -> Iterator[tuple[VideoFrame, int, float]]:
        """Yield decoded frames, not yet converted, with their index and time."""
        for one in all_decoded:
            if self._stopped.is_set():
                return
            self._note_damage(one)
            picture = one.picture
            if picture is None:
                continue
            self.before = self._position_before(picture, one.num_packets)
            now = self._decoder.size_of_picture(picture)
            if self._size not in {None, now}:
                self.health.num_size_changes += 1
            self._size = now
            if picture.time is not None:
                self._shown_until_s = max(self._shown_until_s, picture.time + 1 / self.fps)
            self._index += 1
            yield picture, self._index - 1, self._clock.time_s(picture.time, self.fps)
        self._account(self._index)

    def _note_damage(self, one: _Decoded) -> None:
        num_corrupt = self._num_corrupt_before + one.num_corrupt
        if num_corrupt != self.health.num_corrupt:
            self.health.num_corrupt, self._damaged_until = num_corrupt, one.num_packets

    def _position_before(self, picture: VideoFrame, num_packets: int) -> Position:
        return Position.model_construct(
            index=self._index,
            pts=picture.pts,
            clock=self._clock.state(),
            size=self._size,
            shown_until_s=self._shown_until_s,
            num_size_changes=self.health.num_size_changes,
            num_corrupt=self.health.num_corrupt,
            num_packets=num_packets,
            damaged_until=self._damaged_until,
            digest="",
        )

    def _pictures(self) -> Iterator[_Decoded]:
        decoder = self._decoder
        try:
            for picture in decoder.pictures():
                yield _Decoded(picture, decoder.num_corrupt, decoder.num_packets)
        except (av.FFmpegError, OSError) as err:
            self.health.last_error = f"{self.name} cannot be read further: {reason_from_error(err)}"

    def _account(self, num_frames: int) -> None:
        self.health.num_corrupt = self._num_corrupt_before + self._decoder.num_corrupt
        if num_frames == 0:
            raise StreamError(f"{self.name} was opened but has no frame that can be decoded. Fix: check it in a player")
        num_missing = self.health.num_missing = self._num_missing(num_frames + self.health.num_corrupt)
        if num_missing > max(2.0, TOLERATED_SHARE * num_frames):
            self.health.last_error = f"{self.name} is truncated: {num_missing} frames fewer than it announces"

    def _num_missing(self, num_read: int) -> int:
        """Return how many frames are missing at the end, as after a power cut.

        Containers also count frames that an edit list hides or that a capture card dropped. So the number is at most
        that of the frames between the last one and the announced end.
        """
        decoder = self._decoder
        num = max(0, (decoder.num_announced or 0) - self._num_hidden_before - decoder.num_hidden - num_read)
        if decoder.end_s is None or not self._shown_until_s:
            return num
        return min(num, max(0, round((decoder.end_s - self._shown_until_s) * self.fps)))

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()


def open_file(path: Path, begin: Callable[[VideoDecoder], None] = lambda decoder: None) -> VideoSource:
    """Open a video file.

    Args:
        path: of the file, with an optional #N for the stream.
        begin: called with the decoder before it reads; see `PacketIndex.begin`.

    Raises:
        StreamError: FFmpeg cannot open it.
    """
    silence_ffmpeg()
    file, stream = file_and_stream(path)
    name = printable(path)
    try:
        decoder = VideoDecoder(file_address(file), stream=stream)
        try:
            begin(decoder)
        except BaseException:
            decoder.close()
            raise
        return VideoSource(decoder, name, path)
    except (av.FFmpegError, OSError, NoVideo) as err:
        fix = err.fix if isinstance(err, NoVideo) else "check that a player shows it"
        raise StreamError(f"cannot open the file as a video {name}: {reason_from_error(err)}. Fix: {fix}") from err
