"""Messages between the server and the page, as JSON. Pictures are sent as binary messages."""

import json
from dataclasses import dataclass
from typing import Any

from fer_deploy.live.drawing.chart import color_of
from fer_deploy.live.stats import TOTAL, LiveSnapshot
from fer_deploy.vision.types import FaceResult, FrameResult

MAX_REQUEST_BYTES = 256
_KEYS = {"source", "ready"}


@dataclass(frozen=True)
class Request:
    """Request of a page: another source, the next picture, or both."""

    source: int | None
    ready: bool


def request_from_json(text: str) -> Request:
    """Parse a page's message.

    Raises:
        ValueError: the text is not a valid message.
    """
    value = json.loads(text)
    if not isinstance(value, dict) or not value or not value.keys() <= _KEYS:
        raise ValueError(f"expected an object with {' or '.join(sorted(_KEYS))}")
    source, ready = value.get("source"), value.get("ready", False)
    if not isinstance(ready, bool):
        raise ValueError("ready is true or false")
    if source is not None and (isinstance(source, bool) or not isinstance(source, int) or not 0 <= source < 1000):
        raise ValueError("source is a number from 0 on")
    return Request(source, ready)


def hello_json(labels: tuple[str, ...], run: str) -> str:
    """Return the first message: the labels with their colors, and the id of the run.

    Track numbers start again with each run, so the page must forget the people of an earlier run.
    """
    colors = [color_of(label, labels) for label in labels]
    hexadecimal = [f"#{red:02x}{green:02x}{blue:02x}" for blue, green, red in colors]
    return _dump({"type": "hello", "run": run, "labels": labels, "colors": hexadecimal})


def result_json(result: FrameResult, labels: tuple[str, ...], *, with_picture: bool) -> str:
    """Return one frame's faces; with `with_picture`, its JPEG is the next message.

    Boxes are in pixels of a frame of the message's width and height; the JPEG may be smaller.
    """
    width, height = result.frame.size
    return _dump(
        {
            "type": "result",
            "source": result.frame.source,
            "frame": result.frame.index,
            "width": width,
            "height": height,
            "picture": with_picture,
            "faces": [_face(face, labels) for face in result.faces],
        }
    )


def _face(face: FaceResult, labels: tuple[str, ...]) -> dict[str, Any]:
    box, smoothed = face.box, face.smoothed
    return {
        "id": face.face.track_id,
        "person": face.person,
        "box": (box.x1, box.y1, box.x2, box.y2),
        "detected": face.face.is_detected,
        "label": face.shown_label,
        "color": labels.index(smoothed.label) if face.is_sure else None,
        "readable": face.is_readable,
        "flags": face.flags,
        "confidence": round(smoothed.confidence, 3),
        "probs": [round(prob, 3) for prob in map(float, smoothed.probs)],
    }


def status_json(snapshot: LiveSnapshot, health: str) -> str:
    """Return the state of the loop, for the page's tiles and tables."""
    total = next((row for row in snapshot.latencies if row.stage == TOTAL), None)
    sources = [
        {
            "name": source.name,
            "state": source.health.state,
            "dropped": source.num_dropped,
            "reconnects": source.health.num_reconnects,
            "stalls": source.health.num_stalls,
            "frozen": source.health.num_frozen,
            "corrupt": source.health.num_corrupt,
            "missing": source.health.num_missing,
            "error": source.health.last_error,
        }
        for source in snapshot.sources
    ]
    return _dump(
        {
            "type": "status",
            "health": health,
            "fps": snapshot.throughput_fps,
            "p50_ms": None if total is None else total.p50_ms,
            "p95_ms": None if total is None else total.p95_ms,
            "detect_every": snapshot.detect_every,
            "made_with": dict(snapshot.made_with),
            "sources": sources,
            "stages": [
                {"name": row.stage, "p50_ms": row.p50_ms, "p95_ms": row.p95_ms, "busy": row.busy}
                for row in snapshot.latencies
            ],
            "sinks": [
                {"name": sink.name, "written": sink.num_written, "dropped": sink.num_dropped, "failure": sink.failure}
                for sink in snapshot.sinks
            ],
        }
    )


def _dump(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
