"""The values on the arrows of the live loop."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture from a source.

    Attributes:
        frame_bgr: (H, W, 3) uint8, blue-green-red; whoever holds the frame may read it, nobody writes to it.
        index: number of the frame in its source, counted from 0; gaps are frames that were dropped.
        time_s: position in the recording, or seconds since the stream began.
        captured_ns: `time.monotonic_ns()` when the source handed it over; latency counts from here.
        name: the picture's file name where the source is a folder, else empty.
    """

    frame_bgr: NDArray[np.uint8]
    index: int
    time_s: float
    captured_ns: int
    name: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of its frame, inside of it; x2 and y2 are exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True)
class Emotion:
    """The classifier's answer for one face; `probs[label]` is in 0 to 1, over all labels 1 in sum."""

    label: str
    confidence: float
    probs: dict[str, float]


@dataclass(frozen=True)
class FaceResult:
    """One face and what it shows."""

    box: Box
    emotion: Emotion


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Everything known about one frame.

    Attributes:
        stage_ns: duration of each stage for this frame, by the stage's name, in nanoseconds.
    """

    frame: Frame
    faces: tuple[FaceResult, ...]
    stage_ns: dict[str, int] = field(default_factory=dict)
