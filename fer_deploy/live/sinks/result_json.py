"""Convert a frame's result to JSON, in one format for all outputs. docs/results.md describes each field."""

import json
from typing import Any

from fer_deploy.live.file_names import printable
from fer_deploy.vision.types import Emotion, FaceResult, FrameResult

_DIGITS = 4


def _json_from_result(result: FrameResult, *, with_source: bool = False) -> dict[str, Any]:
    """Return the frame's number and time, and for each face its box, track and emotions.

    Args:
        result: of one frame.
        with_source: whether to name the source; for a loop with several.
    """
    frame = result.frame
    said: dict[str, Any] = {"frame": frame.index, "time_s": round(frame.time_s, _DIGITS)}
    if with_source:
        said["source"] = frame.source
    if frame.name:
        said["name"] = printable(frame.name)
    said["faces"] = [_json_from_face(face) for face in result.faces]
    return said


def line_from_result(result: FrameResult, *, with_source: bool = False) -> str:
    """Return a result as one line of compact JSON, without a line end."""
    return json.dumps(_json_from_result(result, with_source=with_source), separators=(",", ":"))


def _json_from_face(face: FaceResult) -> dict[str, Any]:
    box = face.box
    return {
        "track": face.face.track_id,
        "person": face.person,
        "box_xyxy": [box.x1, box.y1, box.x2, box.y2],
        "score": round(face.face.detection.score, _DIGITS),
        "detected": face.face.is_detected,
        **_json_from_emotion(face.emotion),
        **({} if face.corrected is None else {"corrected": _json_from_emotion(face.corrected)}),
        "smoothed": {**_json_from_emotion(face.smoothed), "sure": face.is_sure},
        "shown": face.shown_label,
        "quality": None if face.quality is None else {**face.quality.rounded(), "flags": face.flags},
    }


def _json_from_emotion(emotion: Emotion) -> dict[str, Any]:
    return {
        "emotion": emotion.label,
        "confidence": round(emotion.confidence, _DIGITS),
        "probs": {label: round(prob, _DIGITS) for label, prob in emotion.probs.as_dict().items()},
    }
