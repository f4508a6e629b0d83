"""Speed and remaining time of an analysis."""

from fer_deploy.cli.terminal.analyze_progress import Pace


def test_frames_that_workers_had_done_before_are_no_speed():
    pace = Pace(0, 10.0)
    pace.note(52, 10.00006)
    assert pace.fps == 0
    assert pace.left_s(56) is None


def test_speed_and_remaining_time():
    pace = Pace(100, 10.0)
    pace.note(130, 11.0)
    pace.note(160, 12.0)
    assert pace.fps == 30
    assert pace.left_s(460) == 10
