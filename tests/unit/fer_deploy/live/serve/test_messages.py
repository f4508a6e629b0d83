import json
from dataclasses import replace

import pytest
from unit.fer_deploy.live.serve.stage import LABELS, make_result, make_snapshot

from fer_deploy.live.drawing.chart import color_of
from fer_deploy.live.serve.messages import Request, hello_json, request_from_json, result_json, status_json
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, FrameResult, TrackedFace


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ready": true}', Request(None, True)),
        ('{"source": 2}', Request(2, False)),
        ('{"source": 0, "ready": false}', Request(0, False)),
    ],
)
def test_reads_what_a_page_asks(text, expected):
    assert request_from_json(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "null",
        "[]",
        "{}",
        '{"source": -1}',
        '{"source": true}',
        '{"source": 1.5}',
        '{"source": 1000}',
        '{"ready": 1}',
        '{"token": "x"}',
        '{"source": "0"}',
        "[" * 100,
    ],
)
def test_refuses_everything_else(text):
    with pytest.raises(ValueError, match=r"."):
        request_from_json(text)


def test_labels_come_with_the_overlays_colors():
    labels = tuple(f"label {i}" for i in range(9))
    hello = json.loads(hello_json(labels, "run"))
    assert hello["labels"] == list(labels)
    for label, color in zip(labels, hello["colors"], strict=True):
        assert bytes.fromhex(color[1:]) == bytes(reversed(color_of(label, labels)))


def test_a_face_is_told_as_people_see_it():
    raw = Emotion("sad", 0.9, Probabilities.from_dict({"happy": 0.1, "sad": 0.9}))
    smoothed = Emotion("happy", 0.62345, Probabilities.from_dict({"happy": 0.62345, "sad": 0.37655}))
    tracked = TrackedFace(7, Detection(Box(1, 2, 30, 40)), is_detected=False)
    frame = make_result(5, source=1).frame
    result = FrameResult(frame, (FaceResult(tracked, raw, smoothed), FaceResult(tracked, raw, smoothed, is_sure=False)))
    message = json.loads(result_json(result, ("happy", "sad"), with_picture=True))
    sure, unsure = message.pop("faces")
    assert message == {"type": "result", "source": 1, "frame": 5, "width": 64, "height": 48, "picture": True}
    assert sure == {
        "id": 7,
        "person": None,
        "box": [1, 2, 30, 40],
        "detected": False,
        "label": "happy",
        "color": 0,
        "confidence": 0.623,
        "probs": [0.623, 0.377],
        "readable": True,
        "flags": [],
    }
    assert (unsure["label"], unsure["color"], unsure["readable"]) == ("unsure", None, True)


def test_an_unreadable_face_says_why():
    quality = FaceQuality(9.0, 9.0, 120.0, 40.0, 0.5, None, (0.0, 0.0, 0.0, 0.0), 0.9, True)
    result = make_result()
    face = replace(result.faces[0], quality=quality, is_sure=False, is_readable=False)
    (told,) = json.loads(result_json(replace(result, faces=(face,)), LABELS, with_picture=False))["faces"]
    assert (told["label"], told["color"], told["readable"]) == ("unreadable", None, False)
    assert told["flags"] == ["SMALL_FACE"]


def test_status_tells_the_total_latency_and_everything_that_was_counted():
    status = json.loads(status_json(make_snapshot(failure="disk full"), "degraded"))
    assert (status["health"], status["fps"], status["detect_every"]) == ("degraded", 29.9, 2)
    assert (status["p50_ms"], status["p95_ms"], status["detect_every"]) == (8.0, 9.5, 2)
    assert status["sources"] == [
        {
            "name": "door",
            "state": "running",
            "dropped": 7,
            "reconnects": 3,
            "stalls": 4,
            "frozen": 5,
            "corrupt": 2,
            "missing": 9,
            "error": "read timed out",
        }
    ]
    assert status["made_with"] == {"engine": "ONNX Runtime, int8", "detector": "YuNet (a.onnx)"}
    assert [row["name"] for row in status["stages"]] == ["detect", "total"]
    assert status["sinks"][0] == {"name": "jsonl", "written": 900, "dropped": 8, "failure": "disk full"}


def test_labels_are_the_models():
    assert len(json.loads(result_json(make_result(), LABELS, with_picture=False))["faces"][0]["probs"]) == len(LABELS)
