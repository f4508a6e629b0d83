"""Quality and flags in JSON."""

import json

from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.types import Emotion

SMALL = FaceQuality(9.0, 1.234, 120.0, 40.0, 0.5, None, (0.0, 0.0, 0.0, 0.0), 0.875, True)


def test_corrected_beside_raw(make_result):
    assert "corrected" not in line_from_result(make_result())
    corrected = Emotion("dark", 0.6, Probabilities.from_dict({"dark": 0.6, "bright": 0.4}))
    (face,) = json.loads(line_from_result(make_result(corrected=corrected)))["faces"]
    assert (face["emotion"], face["corrected"]) == (
        "bright",
        {"emotion": "dark", "confidence": 0.6, "probs": {"dark": 0.6, "bright": 0.4}},
    )


def test_an_unreadable_face_has_its_raw_values_and_its_flags(make_result):
    (face,) = json.loads(line_from_result(make_result(quality=SMALL, is_sure=False, is_readable=False)))["faces"]
    assert (face["shown"], face["emotion"], face["smoothed"]["sure"]) == ("unreadable", "bright", False)
    assert face["quality"] == {
        "size_px": 9.0,
        "sharpness": 1.23,
        "brightness": 120.0,
        "contrast": 40.0,
        "grain": 0.5,
        "yaw_deg": None,
        "pitch_deg": None,
        "roll_deg": None,
        "cut_left": 0.0,
        "cut_top": 0.0,
        "cut_right": 0.0,
        "cut_bottom": 0.0,
        "flags": ["SMALL_FACE", "LOW_SHARPNESS"],
    }
