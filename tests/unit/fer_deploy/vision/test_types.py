import numpy as np

from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Emotion, Frame, FrameResult


def test_a_frame_has_its_size_with_and_without_pixels():
    frame = Frame(np.zeros((20, 30, 3), dtype=np.uint8), index=0, time_s=0.0, captured_ns=0)
    assert frame.size == (30, 20)
    small = FrameResult(frame, ()).without_pixels()
    assert (small.frame.size, small.frame.frame_bgr.size) == ((30, 20), 0)


def test_emotions_are_equal_where_all_their_probabilities_are():
    probs = {"sad": 0.25, "happy": 0.75}
    one, same = (Emotion("happy", 0.75, Probabilities.from_dict(probs)) for _ in range(2))
    assert one == same
    assert one != Emotion("happy", 0.75, Probabilities.from_dict({"sad": 0.125, "happy": 0.75}))
    assert one != Emotion("happy", 0.75, Probabilities.from_dict({"gloomy": 0.25, "happy": 0.75}))
    assert one != "happy"
