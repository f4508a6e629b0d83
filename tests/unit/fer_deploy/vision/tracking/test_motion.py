import math

import pytest

from fer_deploy.vision.tracking.motion import COASTING_S, Motion, elapsed_s


def seen_moving(fps: float, seconds: float = 1.0) -> Motion:
    motion = Motion(center=(0.0, 0.0))
    for step in range(1, round(seconds * fps) + 1):
        motion.advance(1 / fps)
        motion.correct((100.0 * step / fps, -50.0 * step / fps))
    return motion


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_steady_velocity_is_learned_at_any_frame_rate(fps):
    motion = seen_moving(fps)
    assert motion.velocity == pytest.approx((100.0, -50.0), rel=0.15)
    assert motion.center == pytest.approx((100.0, -50.0), abs=1.0)


def test_frame_rates_agree_on_where_a_face_will_be():
    slow, fast = seen_moving(10), seen_moving(60)
    for motion in (slow, fast):
        motion.advance(0.3)
    assert slow.center == pytest.approx(fast.center, abs=2.0)


def test_one_long_step_is_as_good_as_many_short_ones():
    once, often = seen_moving(25), seen_moving(25)
    once.advance(0.4)
    for _ in range(40):
        often.advance(0.01)
    assert once.center == pytest.approx(often.center)
    assert once.velocity == pytest.approx(often.velocity)
    assert once.variances == pytest.approx(often.variances)


def test_an_unseen_face_coasts_to_a_stop_and_grows_uncertain():
    motion = seen_moving(25)
    (x, _), (speed, _), sure = motion.center, motion.velocity, motion.variances[0]
    motion.advance(60)
    assert motion.center[0] == pytest.approx(x + speed * COASTING_S)
    assert motion.velocity == pytest.approx((0, 0), abs=1e-9)
    assert motion.variances[0] > 1e4 * sure


def test_no_time_changes_nothing():
    motion = seen_moving(25)
    before = motion.model_copy()
    motion.advance(0)
    assert motion == before


@pytest.mark.parametrize(
    ("before_s", "now_s", "expected"),
    [(None, 5.0, 0.0), (1.0, 1.25, 0.25), (1.0, 1.0, 0.0), (1.0, 0.9, 0.0), (10.0, 0.0, math.inf), (0.0, 1e6, 1e6)],
)
def test_time_between_frames(before_s, now_s, expected):
    assert elapsed_s(before_s, now_s, keep_s=2.0) == expected
