"""PacketIndex: every packet of a recording, read once without decoding, to find keyframes and to predict positions."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from fer_deploy.files import durable
from fer_deploy.files.zip_faults import ZIP_FAULTS
from fer_deploy.live.capture.decoder import Packet, VideoDecoder, silence_ffmpeg
from fer_deploy.live.capture.timestamps import Timestamps
from fer_deploy.live.file_names import file_address, file_and_stream
from fer_deploy.live.seeking.position import Position, SeekFailed
from fer_deploy.live.sources.clock import RecordingClock

MOST_BEFORE: Final = 2_000
"""Packets between the place where a container's seek ends and the keyframe; more mean that it missed."""
_ASK_EVERY: Final = 500
_NONE: Final = np.iinfo(np.int64).min
"""Stands for a missing time in the arrays."""
_VERSION: Final = 1


class _Packets(NamedTuple):
    """A row a packet, in the order of decoding: its place, its times as read, and its times as corrected."""

    pos: NDArray[np.int64]
    size: NDArray[np.int64]
    read_pts: NDArray[np.int64]
    read_dts: NDArray[np.int64]
    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    is_hidden: NDArray[np.bool_]
    is_corrupt: NDArray[np.bool_]


class Until(NamedTuple):
    """Frames before a time: how many, when the last one begins, and whether the recording ends there."""

    num_frames: int
    last_s: float
    is_end: bool


class PacketIndex:
    """The packets of one video stream.

    Times after a seek depend on what a demuxer has read, so they are not used: each packet gets the times that it has
    in the index, which was read from the start.

    Attributes:
        why_not: why no reader can begin in the middle of this recording, as text; empty if it can.
    """

    def __init__(self, packets: _Packets, time_base: Fraction, fps: float) -> None:
        """Create an index; see `index_of_file`."""
        self._packets, self._time_base, self._fps = packets, time_base, fps
        has_frame = np.flatnonzero(~packets.is_hidden)
        by_time = has_frame[np.argsort(packets.pts[has_frame], kind="stable")]
        self._shown = packets.pts[by_time]
        self._packet_of_shown = by_time
        self._keys = np.flatnonzero(packets.is_key)
        went_back = np.flatnonzero(np.diff(packets.pts) < 0)
        self._knows_order_from = int(went_back[0]) + 2 if len(went_back) else len(packets.pts) + 1
        self._hidden_before = np.concatenate([[0], np.cumsum(packets.is_hidden)])
        self.why_not = self._find_why_not()

    def _find_why_not(self) -> str:
        if not len(self._shown) or (self._packets.pts == _NONE).any():
            return "its packets have no presentation times"
        if (np.diff(self._shown) <= 0).any():
            return "several of its packets have the same presentation time"
        return "" if len(self._keys) > 1 else "it has no second keyframe"

    @property
    def num_frames(self) -> int:
        """The number of frames if every packet gives one."""
        return len(self._shown)

    @property
    def num_keyframes(self) -> int:
        """The number of keyframes."""
        return len(self._keys)

    def keyframes_before(self, pts: int, *, damaged_until: int = 0) -> Iterator[int]:
        """Yield the packets of keyframes at or before a frame, in decoding and in presentation, the last first.

        Args:
            pts: presentation time of the frame.
            damaged_until: number of packets up to the last corrupt one; damage reaches to the keyframe after it, and
                may reach beyond, so that keyframe is not yielded.
        """
        number = int(np.searchsorted(self._shown, pts))
        if self.why_not or number == len(self._shown) or self._shown[number] != pts:
            return
        packet = int(self._packet_of_shown[number])
        corrupt_before = np.flatnonzero(self._packets.is_corrupt[:packet])
        damaged_until = max(damaged_until, int(corrupt_before[-1]) + 1 if len(corrupt_before) else 0)
        first = int(np.searchsorted(self._keys, damaged_until)) + 1 if damaged_until else 0
        decoded_before = self._keys[first:][self._keys[first:] <= packet]
        yield from reversed(decoded_before[self._packets.pts[decoded_before] <= pts].tolist())

    def num_frames_before(self, packet: int) -> int:
        """Return the number of frames shown before that of a packet."""
        return int(np.searchsorted(self._shown, self._packets.pts[packet]))

    def num_hidden_before(self, packet: int) -> int:
        """Return the number of packets before this one whose frames an edit list hides."""
        return int(self._hidden_before[packet])

    def ahead(self, position: Position, num_frames: int, *, size: tuple[int, int]) -> Position | None:
        """Predict the position `num_frames` after another one; None if the recording ends before, or has no index.

        The prediction is true if each packet up to there gives one frame, of one size. Compare it with the position
        that a reader of the part before arrives at, and do not use it unproven.

        Args:
            position: proven or predicted.
            num_frames: at least 1.
            size: width and height of the frames.
        """
        if self.why_not or position.pts is None:
            return None
        first = int(np.searchsorted(self._shown, position.pts))
        last = first + num_frames
        if first >= len(self._shown) or self._shown[first] != position.pts or last >= len(self._shown):
            return None
        clock, shown_until_s = RecordingClock.from_state(position.clock), position.shown_until_s
        for pts in self._shown[first:last].tolist():
            stamp_s = self._stamp_s(pts)
            shown_until_s = max(shown_until_s, stamp_s + 1 / self._fps)
            clock.time_s(stamp_s, self._fps)
        changed = {"index": position.index + num_frames, "pts": int(self._shown[last]), "clock": clock.state()}
        unknown = {"size": size, "num_packets": None, "digest": ""}
        return position.model_copy(update=changed | unknown | {"shown_until_s": shown_until_s})

    def times_from(self, position: Position) -> NDArray[np.float64]:
        """Return when the frame of a position and each after it is shown, (N,) in seconds as `Frame.time_s`.

        A packet that gives no frame has a time, too, so after damage a time is surer than a number of frames.
        """
        if self.why_not or position.pts is None:
            return np.zeros(0)
        clock = RecordingClock.from_state(position.clock)
        shown = self._shown[int(np.searchsorted(self._shown, position.pts)) :].tolist()
        return np.array([clock.time_s(self._stamp_s(pts), self._fps) for pts in shown], dtype=np.float64)

    def until(self, start: Position, time_s: float) -> Until | None:
        """Predict how many frames from a position on are before a time; None if only decoding shows that.

        Args:
            start: proven.
            time_s: of the recording. If the recording ends before, all frames are counted.
        """
        times_s = self.times_from(start)
        first = len(self._shown) - len(times_s)
        if not len(times_s) or self._shown[first] != start.pts:
            return None
        num = int(np.searchsorted(times_s, time_s))
        is_end = num == len(times_s)
        shown_before = self._packets.pts < (np.iinfo(np.int64).max if is_end else self._shown[first + num])
        if (self._packets.is_corrupt & shown_before).any():
            return None
        return Until(num, float(times_s[num - 1]) if num else start.clock.position_s, is_end)

    def _stamp_s(self, pts: int) -> float:
        return float(pts) * self._time_base.numerator / self._time_base.denominator  # as PyAV computes it

    def begin(self, decoder: VideoDecoder, packet: int, *, by_seeking: bool) -> None:
        """Let a newly opened decoder begin at a packet.

        Args:
            decoder: of the same stream; nothing was read from it.
            packet: number of a keyframe's packet.
            by_seeking: seek in the container; otherwise the packets before are read and not decoded, which is exact in
                every format.

        Raises:
            av.FFmpegError, OSError: the container cannot seek.
        """
        rows = self._packets
        dts, pts = int(rows.read_dts[packet]), int(rows.read_pts[packet])
        ticks = None if not by_seeking else pts if dts == _NONE else dts

        def locate(packets: Iterator[Packet], timestamps: Timestamps) -> Iterator[Packet]:
            return self._located(packets, timestamps, packet, MOST_BEFORE if by_seeking else len(rows.pts))

        decoder.num_packets = packet
        decoder.begin_at(locate, ticks, knows_order=packet >= self._knows_order_from)

    def _located(
        self, packets: Iterator[Packet], timestamps: Timestamps, first: int, most_before: int
    ) -> Iterator[Packet]:
        number: int | None = None
        num_before = 0
        for packet in packets:
            if packet.size == 0:  # the end of the stream
                if number is not None:
                    yield packet
                continue
            if number is None:
                if not self._is(packet, first):
                    num_before += 1
                    if num_before > most_before:
                        break
                    continue
                number = first
            elif not self._is(packet, number):
                raise SeekFailed(f"packet {number} differs from the one read before. Fix: check the disk, or --restart")
            pts, dts = int(self._packets.pts[number]), int(self._packets.dts[number])
            packet.pts, packet.dts = pts, None if dts == _NONE else dts
            timestamps.note_packet(packet)
            number += 1
            yield packet
        if number is None:
            raise SeekFailed("its keyframe was not found. Fix: read it from the start")

    def _is(self, packet: Packet, number: int) -> bool:
        """Return whether a packet, as read, is that of a number."""
        rows = self._packets
        if number >= len(rows.pts):
            return False
        known = (rows.pos[number], rows.size[number], rows.read_pts[number])
        return known == (_number(packet.pos), packet.size, _number(packet.pts))

    def save(self, path: Path) -> None:
        """Write the index; raises OSError."""
        base = (self._time_base.numerator, self._time_base.denominator)
        with durable.whole_file(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, version=_VERSION, base=np.array(base), fps=self._fps, **self._packets._asdict())

    @classmethod
    def load(cls, path: Path) -> "PacketIndex | None":
        """Read an index of `save`; None if there is none, or it is damaged or of another version."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                if int(saved["version"]) != _VERSION:
                    return None
                packets = _Packets(**{name: saved[name] for name in _Packets._fields})
                return cls(packets, Fraction(*saved["base"].tolist()), float(saved["fps"]))
        except ZIP_FAULTS:
            return None


def index_of_file(path: Path, *, goes_on: Callable[[], bool] = lambda: True) -> PacketIndex | None:
    """Read all packets of a recording without decoding them; None if `goes_on` returned False.

    Args:
        path: of the file, with an optional #N for the stream.
        goes_on: asked every few hundred packets.

    Raises:
        av.FFmpegError, OSError, NoVideo: the file cannot be opened.
    """
    silence_ffmpeg()
    file, stream = file_and_stream(path)
    decoder = VideoDecoder(file_address(file), stream=stream)
    rows: list[tuple[Any, ...]] = []
    try:
        for row in _rows(decoder):
            rows.append(row)
            if len(rows) % _ASK_EVERY == 0 and not goes_on():
                return None
    except (av.FFmpegError, OSError):
        pass  # what follows cannot be read; a reader that decodes comes no further
    finally:
        decoder.close()
    columns = list(zip(*rows, strict=True)) or [()] * len(_Packets._fields)
    kinds = [np.bool_ if name.startswith("is_") else np.int64 for name in _Packets._fields]
    packets = _Packets(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))
    return PacketIndex(packets, decoder.time_base, decoder.fps)


def _rows(decoder: VideoDecoder) -> Iterator[tuple[Any, ...]]:
    for packet, (read_pts, read_dts) in decoder.packets_and_times():
        if packet.size:
            times = tuple(map(_number, (read_pts, read_dts, packet.pts, packet.dts)))
            yield _number(packet.pos), packet.size, *times, packet.is_keyframe, packet.is_discard, packet.is_corrupt


def _number(value: int | None) -> int:
    return _NONE if value is None else value
