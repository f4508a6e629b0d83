"""Provide recordings with known faces, and four methods to place faces in frames without detection."""

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness.clips import fps_of, iou, read_clip

from fer_deploy.vision.tracking.interpolation import faces_between
from fer_deploy.vision.tracking.motion import Motion
from fer_deploy.vision.tracking.people import People, PeopleConfig
from fer_deploy.vision.types import Box, Detection, TrackedFace

Faces = tuple[TrackedFace, ...]


@dataclass
class Clip:
    """A recording; `truth[i]` are the faces of frame i with the track numbers of tracking in every frame."""

    name: str
    fps: float
    frames: list[np.ndarray]
    truth: list[Faces]

    def time_s(self, index: int) -> float:
        """Return the time of a frame in seconds."""
        return index / self.fps


def known_clip(path: Path, yunet: Path) -> Clip:
    """Return a clip with the faces of OpenCV's own YuNet, at full resolution."""
    clip = Clip(path.name, fps_of(path), list(read_clip(path)), [])
    height, width = clip.frames[0].shape[:2]
    detector, people = cv2.FaceDetectorYN.create(str(yunet), "", (width, height), 0.6), People(PeopleConfig(), ())
    for index, frame in enumerate(clip.frames):
        rows = detector.detect(frame)[1]
        found = [] if rows is None else [detection_from_row(row) for row in rows.tolist()]
        clip.truth.append(people.see(frame, found, clip.time_s(index)))
    return clip


def detection_from_row(row: list[float]) -> Detection:
    """Return the detection of a row of OpenCV: x, y, width, height, five landmarks, score."""
    x, y, width, height = (round(value) for value in row[:4])
    landmarks = tuple(zip(row[4:14:2], row[5:14:2], strict=True))
    return Detection(Box(x, y, x + width, y + height), row[14], landmarks)


def stay(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection: faces stay at their last position."""
    for index in range(len(clip.frames)):
        if index % every:
            yield index, clip.truth[index - index % every]


def keep_velocity(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection: faces continue with the velocity of their filter."""
    motions: dict[int, Motion] = {}
    for index, faces in enumerate(clip.truth):
        for motion in motions.values():
            motion.advance(1 / clip.fps)
        if index % every == 0:
            for face in faces:
                motions.setdefault(face.track_id, Motion(center=center(face.detection.box))).correct(
                    center(face.detection.box)
                )
            seen = faces
        else:
            yield index, tuple(moved_to(face, motions[face.track_id].center) for face in seen)


def follow(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection, as in the live loop: faces follow the optical flow."""
    people = People(PeopleConfig(), ())
    for index, frame in enumerate(clip.frames):
        if index % every:
            yield index, people.follow(frame, clip.time_s(index))
        else:
            detections = [face.detection for face in clip.truth[index]]
            people.see(frame, detections, clip.time_s(index))


def interpolate(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection between two frames with detection, as in the loop for recordings."""
    for index in range(len(clip.frames) - len(clip.frames) % every):
        before, phase = index - index % every, index % every
        if phase and before + every < len(clip.frames):
            yield index, faces_between(clip.truth[before], clip.truth[before + every], phase / every)


METHODS: dict[str, Callable[[Clip, int], Iterator[tuple[int, Faces]]]] = {
    "stay": stay,
    "velocity": keep_velocity,
    "flow (`follow`)": follow,
    "interpolation (`between`)": interpolate,
}


def center(box: Box) -> tuple[float, float]:
    """Return x, y of a box's center."""
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def moved_to(face: TrackedFace, place: tuple[float, float]) -> TrackedFace:
    """Return a face of the same size with its center at a place."""
    box, (x, y) = face.detection.box, place
    dx, dy = round(x - (box.x1 + box.x2) / 2), round(y - (box.y1 + box.y2) / 2)
    landmarks = tuple((px + dx, py + dy) for px, py in face.detection.landmarks)
    return TrackedFace(
        face.track_id, Detection(Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy), 1.0, landmarks)
    )


def errors_between(clips: list[Clip], every: int, method: str) -> dict[str, Any]:
    """Return the distance of faces from the truth in frames without detection, in widths of the true face."""
    off, overlap, landmarks = [], [], []
    for clip in clips:
        for index, faces in METHODS[method](clip, every):
            found = {face.track_id: face.detection for face in faces}
            for face in clip.truth[index]:
                if face.track_id not in found:  # it came after the detection
                    continue
                truth, guess = face.detection, found[face.track_id]
                width = truth.box.x2 - truth.box.x1
                off.append(math.dist(center(truth.box), center(guess.box)) / width)
                overlap.append(iou(astuple(truth.box), astuple(guess.box)))
                apart = np.subtract(truth.landmarks, guess.landmarks)
                landmarks.append(float(np.hypot(*apart.T).mean() / width))
    return {
        "every": every,
        "method": method,
        "center_mean": statistics.fmean(off),
        "center_p95": float(np.percentile(off, 95)),
        "center_max": max(off),
        "iou_mean": statistics.fmean(overlap),
        "iou_p5": float(np.percentile(overlap, 5)),
        "landmarks_mean": statistics.fmean(landmarks),
    }
