"""Times of packets and pictures, from containers that tell them badly."""

from types import SimpleNamespace

import pytest

from fer_deploy.live.capture.timestamps import MAX_REORDERED, Timestamps

STEP = 10


def packet(pts, dts, duration=STEP):
    return SimpleNamespace(pts=pts, dts=dts, duration=duration)


def corrected(*packets):
    timestamps = Timestamps(STEP)
    for one in packets:
        timestamps.correct_packet(one)
    return [(one.pts, one.dts) for one in packets]


def piece(start, num):
    """A piece with a B-frame between every two others, in the order of decoding."""
    shown = [0, *(n + 1 if n % 2 else n - 1 for n in range(1, num))]
    return [packet(start + STEP * pts, start + STEP * (n - 1)) for n, pts in enumerate(shown)]


def shown_times(packets):
    return sorted(one.pts for one in packets)


class TestPieces:
    def test_a_whole_recording_is_left_alone(self):
        before = [(one.pts, one.dts) for one in piece(500, 9)]
        assert corrected(*piece(500, 9)) == before

    @pytest.mark.parametrize("starts", [(0, 0), (500, 0, 0), (500, 480), (0, 0, 0, 0)])
    def test_each_piece_follows_the_one_before(self, starts):
        packets = [one for start in starts for one in piece(start, 9)]
        corrected(*packets)
        assert shown_times(packets) == [starts[0] + STEP * n for n in range(9 * len(starts))]

    @pytest.mark.parametrize("off", [-30, -300, -100_000])
    def test_one_wrong_time_is_no_new_piece(self, off):
        packets = [packet(STEP * n, STEP * n) for n in range(9)]
        packets[4] = packet(40 + off, 40 + off)
        times = [pts for pts, _ in corrected(*packets)]
        assert times == [STEP * n for n in range(9)]

    def test_without_decoding_times(self):
        assert corrected(packet(20, None), packet(0, None)) == [(20, None), (0, None)]

    def test_duration_is_assumed_where_none_is_told(self):
        assert corrected(packet(0, 0, 0), packet(50, 50, 0), packet(0, 0, 0)) == [(0, 0), (50, 50), (60, 60)]


class TestOrder:
    def shown(self, packets, shown, *, has_reordering=True):
        timestamps = Timestamps(STEP)
        for one in packets:
            timestamps.correct_packet(one)
        return [timestamps.pts_of(pts, has_reordering=has_reordering) for pts in shown]

    def test_decoding_times_are_handed_out_in_their_order(self):
        """AVI: packets count up, and with B-frames pictures come in another order."""
        packets = [packet(n, n - 1) for n in range(1, 6)]
        assert self.shown(packets, [1, 3, 2, 5, 4]) == [1, 2, 3, 4, 5]

    def test_presentation_times_are_believed(self):
        packets = [packet(pts, dts) for dts, pts in enumerate([0, 3, 1, 2, 6, 4, 5])]
        assert self.shown(packets, [0, 1, 2, 3, 4, 5, 6]) == [0, 1, 2, 3, 4, 5, 6]
        packets = [packet(pts, dts) for dts, pts in enumerate([0, 3, 1, 2, 6, 4, 5])]
        assert self.shown(packets, [3, 4, 5]) == [3, 4, 5], "the first ones could not be decoded"

    def test_without_b_frames_they_are_believed(self):
        assert self.shown([packet(n, n) for n in range(5)], [2, 3, 4], has_reordering=False) == [2, 3, 4]

    def test_a_packet_that_could_not_be_decoded_gives_its_time_to_no_other(self):
        timestamps = Timestamps(STEP)
        packets = [packet(n, n - 1) for n in range(1, 5)]
        for one in packets:
            timestamps.correct_packet(one)
        timestamps.forget_packet(packets[1])
        timestamps.forget_packet(packet(None, None))
        assert [timestamps.pts_of(pts, has_reordering=True) for pts in (1, 4, 3)] == [1, 3, 4]

    def test_pictures_that_never_come_are_forgotten(self):
        packets = [packet(n, n) for n in range(100)]
        assert self.shown(packets, [99]) == [100 - MAX_REORDERED]

    def test_no_times_at_all(self):
        assert self.shown([packet(None, None)], [None]) == [None]
