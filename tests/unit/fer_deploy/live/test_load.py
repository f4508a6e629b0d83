import pytest

from fer_deploy.live.load import PAUSE_S, WorkerLoad

NEVER_ENOUGH = {"detect_s": 1.0, "rest_s": 1.0}


def run(intervals, *, num=300, fps=30, detect_s, rest_s=0.0, dropped=0, start_s=0.0):
    """Let `num` frames of each source arrive; return when the last one did."""
    for i in range(num):
        for interval in intervals:
            interval.note_arrival(start_s + i * (1 + dropped) / fps, dropped)
            interval.note_work(detect_s=None if i % 2 else detect_s, rest_s=rest_s)
    return start_s + (num - 1) * (1 + dropped) / fps


def one(num_workers=2):
    return WorkerLoad(num_workers).interval("auto", is_live=True)


def settled(*, num_workers=2, **how) -> int:
    interval = one(num_workers)
    run([interval], **how)
    return interval.frames


def test_by_hand():
    interval = WorkerLoad(2).interval(4, is_live=True)
    run([interval], num=2, **NEVER_ENOUGH)
    assert interval.frames == 4


def test_auto_starts_with_every_frame():
    assert one().frames == 1


@pytest.mark.parametrize(
    ("detect_s", "rest_s", "frames"),
    [
        (0.010, 0.005, 1),  # 15 of the 50 ms that two workers have for a frame at 30 frames/s and 75 % load
        (0.055, 0.020, 2),  # 20 + 55/2 = 48 ms
        (0.100, 0.020, 4),
        (0.050, 0.100, 6),  # classification alone is too much
    ],
)
def test_the_smallest_interval_that_keeps_up(detect_s, rest_s, frames):
    assert settled(fps=30, detect_s=detect_s, rest_s=rest_s) == frames


@pytest.mark.parametrize(("fps", "frames"), [(120, 24), (60, 12), (30, 6), (10, 2), (4, 1)])
def test_a_face_is_followed_blindly_for_a_fifth_of_a_second_at_most(fps, frames):
    assert settled(fps=fps, **NEVER_ENOUGH) == frames


def test_dropped_frames_count_as_arrivals():
    assert settled(fps=30, detect_s=0.055, rest_s=0.020, dropped=2) == 2


def test_more_workers_look_more_often():
    assert settled(fps=30, detect_s=0.060, rest_s=0.020, num_workers=4) == 1


class TestSeveralSources:
    def intervals(self, num, **how):
        load = WorkerLoad(2)
        return [load.interval("auto", is_live=True, **how) for _ in range(num)]

    def test_share_the_workers(self):
        cameras = self.intervals(4)
        run(cameras, detect_s=0.030)
        # 4 * 30 frames/s * 30 ms are 3.6 workers, 1.5 are to be busy
        assert [camera.frames for camera in cameras] == [3] * 4

    def test_one_that_is_at_its_limit_leaves_the_rest_to_the_others(self):
        slow, quick = self.intervals(2)
        for i in range(100):
            run([slow], num=1, detect_s=0.1, start_s=i / 4)
            run([quick], num=15, fps=60, detect_s=0.04, start_s=i / 4)
        # 4 frames/s * 100 ms are 0.4 workers, whatever k; 60 frames/s * 40 ms / 3 are 0.8
        assert (slow.frames, quick.frames) == (1, 3)

    def test_one_that_fell_silent_asks_nothing_any_more(self):
        lost, camera = self.intervals(2)
        end_s = run([lost, camera], detect_s=0.050)
        assert camera.frames == 2
        run([camera], num=40, detect_s=0.050, start_s=end_s + PAUSE_S)
        assert camera.frames == 1

    def test_a_recording_waits_and_counts_for_nothing(self):
        load = WorkerLoad(2)
        recording, camera = load.interval("auto", is_live=False), load.interval("auto", is_live=True)
        run([recording, camera], detect_s=0.040)
        assert (recording.frames, camera.frames) == (1, 1)

    def test_what_proves_to_be_a_recording_is_looked_at_frame_by_frame(self):
        proved, camera = self.intervals(2)
        proved.set_live(False)
        run([proved, camera], detect_s=0.080)
        assert (proved.frames, camera.frames) == (1, 2)


class TestPauses:
    @pytest.mark.parametrize("outage_s", [PAUSE_S + 1, 60.0])
    def test_an_outage_changes_nothing(self, outage_s):
        camera = one()
        end_s = run([camera], detect_s=0.100, rest_s=0.020)
        assert camera.frames == 4
        for i in range(3):
            camera.note_arrival(end_s + outage_s + i / 30, 0)
            assert camera.frames == 4

    def test_a_camera_that_became_slow_is_looked_at_frame_by_frame(self):
        camera = one()
        end_s = run([camera], detect_s=0.100, rest_s=0.020)
        run([camera], num=3, fps=0.2, detect_s=0.100, start_s=end_s)
        assert camera.frames == 1

    def test_a_long_wait_for_the_workers_is_no_pause(self):
        camera = one()
        end_s = run([camera], num=200, fps=60, detect_s=0.040, dropped=2)
        assert camera.frames == 2
        camera.note_arrival(end_s + 4.0, 240)
        assert camera.frames == 2

    def test_frames_that_are_seldom_analyzed_are_all_looked_at(self):
        """The interval counts analyzed frames: at 1,000 frames/s of which 5 are analyzed, 200 of them are 40 s."""
        assert settled(fps=1000, dropped=199, **NEVER_ENOUGH) == 1
