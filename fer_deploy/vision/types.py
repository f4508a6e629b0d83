"""Values that the stages of the live loop exchange: frames, detections, faces, emotions, results."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy import spec
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality, QualityFlag

UNSURE, UNREADABLE = spec.UNSURE, spec.UNREADABLE


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame from a source.

    Attributes:
        frame_bgr: (H, W, 3) uint8, blue-green-red; read-only.
        index: number of the frame in its source, counted from 0; gaps are frames that were dropped.
        time_s: position in the recording, or seconds since the stream began.
        captured_ns: `time.monotonic_ns()` when the source delivered it; latency counts from here.
        name: the picture's file name if the source is a folder, else empty.
        source: which of the loop's sources it came from, counted from 0.
        size: width and height in pixels; by default those of `frame_bgr`. A frame without pixels still has its size.
    """

    frame_bgr: NDArray[np.uint8]
    index: int
    time_s: float
    captured_ns: int
    name: str = ""
    source: int = 0
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.frame_bgr.size:
            height, width = self.frame_bgr.shape[:2]
            object.__setattr__(self, "size", (width, height))

    @property
    def is_photo(self) -> bool:
        """Whether it is a single picture: pictures of a folder need not show the same scene."""
        return bool(self.name)

    @classmethod
    def without_pixels(cls, index: int, time_s: float, size: tuple[int, int]) -> Self:
        """Return a frame whose pixels are not at hand; its `captured_ns` is 0."""
        return cls(_NO_PIXELS, index, time_s, captured_ns=0, size=size)


@dataclass(frozen=True)
class Box:
    """A rectangle inside a frame, in pixels; x2 and y2 are exclusive. `x1, y1, x2, y2 = box` works."""

    x1: int
    y1: int
    x2: int
    y2: int

    def __iter__(self) -> Iterator[int]:
        """Yield x1, y1, x2, y2."""
        return iter((self.x1, self.y1, self.x2, self.y2))


Point = tuple[float, float]
"""x, y in pixels of the frame."""


@dataclass(frozen=True)
class Detection:
    """A face as a detector found it.

    Attributes:
        box: inside the frame and not empty.
        score: the detector's confidence, 0 to 1; 1 if it gives none.
        landmarks: right eye, left eye, tip of the nose, right and left corner of the mouth (the person's right, which
            is left in the image), or None if the detector gives none. They may lie outside the frame.
    """

    box: Box
    score: float = 1.0
    landmarks: tuple[Point, Point, Point, Point, Point] | None = None


@dataclass(frozen=True)
class TrackedFace:
    """A face with the number of its track.

    Attributes:
        track_id: number of the track, from 1; constant over frames and never used again for another face.
        detection: place of the face, as detected or as predicted between two detections.
        is_detected: whether a detector found the face in this frame.
    """

    track_id: int
    detection: Detection
    is_detected: bool = True


@dataclass(frozen=True, eq=False)
class Emotion:
    """The classifier's answer for one face.

    Attributes:
        label: the most probable emotion; of a smoothed answer, the label that hysteresis keeps.
        confidence: the probability of `label`, 0 to 1.
        probs: (C,) probabilities of all labels; `probs["happy"]` is one of them, `probs.labels` their order.
    """

    label: str
    confidence: float
    probs: Probabilities

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Emotion):
            return NotImplemented
        mine, its = (self.label, self.confidence), (other.label, other.confidence)
        return mine == its and self.probs.labels == other.probs.labels and np.array_equal(self.probs, other.probs)

    __hash__ = None  # type: ignore[assignment]  # it holds an array


@dataclass(frozen=True)
class FaceResult:
    """One face and its emotion.

    Attributes:
        face: the track: `face.track_id`, `face.is_detected`, and `face.detection` with `box`, `score` and `landmarks`.
        emotion: the network's answer for this frame alone.
        smoothed: average over this person's recent frames, of `corrected` if there is one. Its label changes with
            hysteresis, so it is not always the most probable one.
        is_sure: False if the smoothed confidence is too low to name an emotion, or if the face is unreadable.
        person: number shown to users, from 1 without gaps; None until the face has been followed for a second, and
            without tracking.
        quality: how well the face can be read in this frame, with `flags`; None if it was not measured.
        is_readable: False if this person's quality has flags in most of the recent frames.
        corrected: `emotion` with the offsets of this person's baseline; None if nothing is corrected.
    """

    face: TrackedFace
    emotion: Emotion
    smoothed: Emotion
    is_sure: bool = True
    person: int | None = None
    quality: FaceQuality | None = None
    is_readable: bool = True
    corrected: Emotion | None = None

    @property
    def box(self) -> Box:
        """Rectangle of the face, in pixels."""
        return self.face.detection.box

    @property
    def label(self) -> str:
        """The smoothed emotion; for a single picture it is the network's answer."""
        return self.smoothed.label

    @property
    def confidence(self) -> float:
        """The probability of `label`, 0 to 1."""
        return self.smoothed.confidence

    @property
    def probs(self) -> Probabilities:
        """The smoothed probabilities (C,) of all labels; `probs["happy"]` is one of them."""
        return self.smoothed.probs

    @property
    def shown_label(self) -> str:
        """The label to show: the smoothed emotion, or `UNREADABLE`, or `UNSURE`."""
        if not self.is_readable:
            return UNREADABLE
        return self.smoothed.label if self.is_sure else UNSURE

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        """What makes the emotion of this frame unreliable; empty for a good face, or if it was not measured."""
        return () if self.quality is None else self.quality.flags


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Results for one frame.

    Attributes:
        frame: its pixels and its place: `frame.frame_bgr`, `frame.index`, `frame.time_s` (seconds), `frame.name`
            (of a picture), `frame.source`.
        faces: the people in it.
        stage_ns: duration of each stage for this frame, by the stage's name, in nanoseconds.
        hidden: places of faces that were seen a short time ago or will be, and have no result in this frame.
    """

    frame: Frame
    faces: tuple[FaceResult, ...]
    stage_ns: dict[str, int] = field(default_factory=dict)
    hidden: tuple[Box, ...] = ()

    def without_pixels(self) -> "FrameResult":
        """Return the same result without the frame's pixels, for programs that store many results."""
        return replace(self, frame=replace(self.frame, frame_bgr=_NO_PIXELS))


_NO_PIXELS = np.zeros((0, 0, 3), dtype=np.uint8)
