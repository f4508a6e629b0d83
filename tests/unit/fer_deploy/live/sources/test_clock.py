"""Positions in recordings whose timestamps are wrong in one way or another."""

import os
from fractions import Fraction

import av
import numpy as np
import pytest

from fer_deploy.live.capture.protocol import Picture, Request
from fer_deploy.live.sources import PipeSource, SourceConfig, StreamSource, open_source
from fer_deploy.live.sources.clock import AHEAD_S, BACK_S, RecordingClock

FPS = 10.0


def positions(stamps, fps=FPS):
    clock = RecordingClock()
    return [clock.time_s(stamp, fps) for stamp in stamps]


def tenths(num, start=0.0):
    return [start + i / 10 for i in range(num)]


class TestHonest:
    @pytest.mark.parametrize("start_s", [0.0, 5.0, -3.0, 95_000.0])
    def test_counts_from_the_first_frame(self, start_s):
        assert positions(tenths(5, start_s)) == pytest.approx(tenths(5))

    def test_without_timestamps(self):
        assert positions([None] * 4) == [0, 1 / FPS, 2 / FPS, 3 / FPS]

    def test_some_without(self):
        assert positions([None, 7.0, None, None, 7.4]) == pytest.approx([0, 0.1, 0.2, 0.3, 0.5])

    def test_variable_rate_and_pauses(self):
        stamps = [0.0, 0.04, 0.3, 8.0, 8.01, 8.01 + AHEAD_S - 1, 70.0]
        assert positions(stamps) == pytest.approx(stamps)

    def test_one_frame_an_hour(self):
        passed = np.diff(positions([i * 3600.0 for i in range(5)]))
        assert passed == pytest.approx([1 / FPS, 3600, 3600, 3600])  # the first one may be a wrong timestamp


class TestWrong:
    @pytest.mark.parametrize("off_s", [3600.0, 2**33 / 90_000, -3600.0, -BACK_S - 1])
    def test_one_timestamp_costs_nothing(self, off_s):
        stamps = tenths(9, 50.0)
        stamps[4] += off_s
        assert positions(stamps) == pytest.approx(tenths(9))

    def test_one_after_the_other(self):
        stamps = tenths(9, 50.0)
        stamps[3] += 3600
        stamps[4] += 9000
        stamps[6] += 3600
        assert positions(stamps) == pytest.approx(tenths(9))

    def test_the_first_one(self):
        assert positions([3600.0, *tenths(4)]) == pytest.approx(tenths(5))

    def test_a_clock_that_begins_anew(self):
        assert positions(tenths(50, 95_000) + tenths(50) + tenths(50)) == pytest.approx(tenths(150))

    def test_order_a_little_damaged(self):
        assert positions([0.0, 0.1, 0.4, 0.2, 0.3, 0.5]) == pytest.approx([0, 0.1, 0.4, 0.4, 0.4, 0.5])

    def test_what_is_believed_ends_soon(self):
        stamps = tenths(9)
        stamps[4] += AHEAD_S - 1
        got = positions(stamps)
        assert np.diff(got)[4:] == pytest.approx(0.1)


def write(path, stamps, *, ticks=90_000):
    """A recording whose frames have these timestamps, in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=10, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for index in range(len(stamps)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 + index, np.uint8), "bgr24")
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, stamp in zip(packets, stamps, strict=True):
            packet.time_base = Fraction(1, ticks)
            packet.pts = packet.dts = round(stamp * ticks)
            container.mux(packet)
    return path


def from_file(path):
    source = open_source(str(path))
    try:
        return [frame.time_s for frame in source.frames()]
    finally:
        source.close()


def from_standard_input(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        return [frame.time_s for frame in PipeSource(None, SourceConfig(), handle).frames()]
    finally:
        os.close(handle)


@pytest.mark.parametrize("read", [from_file, from_standard_input])
class TestSources:
    def test_position_counts_from_the_first_frame(self, tmp_path, read):
        assert read(write(tmp_path / "a.ts", tenths(6, 5.0))) == pytest.approx(tenths(6))

    def test_a_packet_an_hour_ahead(self, tmp_path, read):
        first, second = tenths(6), [3600.0]
        parts = [write(tmp_path / f"{i}.ts", stamps) for i, stamps in enumerate([first, second, tenths(6, 0.7)])]
        path = tmp_path / "a.ts"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        assert read(path) == pytest.approx(tenths(13), abs=1e-3)


class Child:
    """A capture process that has opened a recording."""

    def picture(self, message):
        return np.zeros((message.height, message.width, 3), np.uint8)

    def kill(self):
        """Nothing runs."""


def test_recording_behind_url():
    source = StreamSource.__new__(StreamSource)
    source = StreamSource(Request("stream_reader", "a.ts"), "a.ts", SourceConfig(keep_trying=True))
    source._child, source.is_live, source.fps = Child(), False, FPS
    stamps = [5.0, 5.1, 3605.2, 5.3, 5.4]
    messages = [Picture(0, 0, 4, 6, index, stamp, index, 0) for index, stamp in enumerate(stamps)]
    assert [source._frame(message, message.index).time_s for message in messages] == pytest.approx(tenths(5))
