"""Tracker: match the faces of each frame with those of earlier frames."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fer_deploy.vision.tracking.assignment import cheapest_pairs
from fer_deploy.vision.tracking.flow import PATCH_SIDE, Place, Shift, patch_from_frame, shift_of_patch
from fer_deploy.vision.tracking.motion import Motion, elapsed_s
from fer_deploy.vision.types import Box, Detection, Point, TrackedFace

_SAME_FACE_IOU = 0.6  # two detections that overlap more are one face found twice
_Landmarks = tuple[Point, Point, Point, Point, Point]


class _Track(BaseModel):
    """One face: `seen_*` from its last detection, `place` and `landmarks` in the current frame."""

    model_config = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    track_id: int
    motion: Motion
    place: Place
    landmarks: _Landmarks | None
    seen_place: Place
    seen_landmarks: _Landmarks | None
    score: float
    patch: bytes = b""
    unseen_s: float = 0.0
    is_in_view: bool = True


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid")

    next_id: int = 1
    time_s: float | None = None
    frame_size: tuple[int, int] | None = None  # width and height of the frame that the places are in
    tracks: list[_Track] = []


class Tracker:
    """Gives every face a number and finds it again. Used by one thread at a time, with frames in order of time.

    The size of a frame may change at any frame. The scene is taken to stay the same: every place is scaled with it.

    A detection goes to the track whose expected place is nearest, over all pairs at once (`cheapest_pairs`). The
    distance is that of the centers in face sizes plus the logarithm of the sizes' ratio: unlike IoU it still tells near
    from far where boxes no longer overlap.
    """

    def __init__(self, *, keep_s: float, reach: float) -> None:
        """Start without tracks; the arguments are those of `PeopleConfig`."""
        self.set_rules(keep_s=keep_s, reach=reach)
        self._now = _State()
        self._seen_frame: NDArray[np.uint8] | None = None  # patches are cut when first needed

    def set_rules(self, *, keep_s: float, reach: float) -> None:
        """Use other settings from the next frame on. Callable from any thread."""
        self._keep_s, self._reach = keep_s, reach

    def see(
        self, frame_bgr: NDArray[np.uint8], detections: Sequence[Detection], time_s: float
    ) -> tuple[TrackedFace, ...]:
        """Return the detected faces with their numbers, in the order of the detections, without duplicates."""
        seen = self.see_detections(detections, time_s, size=(frame_bgr.shape[1], frame_bgr.shape[0]))
        self._seen_frame = frame_bgr
        return seen

    def see_detections(
        self, detections: Sequence[Detection], time_s: float, *, size: tuple[int, int]
    ) -> tuple[TrackedFace, ...]:
        """Do the same for a frame of a size (width, height) whose pixels are not at hand; `follow` needs them."""
        self._advance(time_s)
        self._fit(size)
        detections = without_duplicates(detections)
        for track in self._now.tracks:
            track.is_in_view = False
        tracks = self._assign(detections)
        for index, detection in enumerate(detections):
            if index in tracks:
                _renew(tracks[index], detection)
            else:
                tracks[index] = self._begin(detection)
        self._seen_frame = None
        return tuple(TrackedFace(tracks[index].track_id, found) for index, found in enumerate(detections))

    def follow(self, frame_bgr: NDArray[np.uint8], time_s: float) -> tuple[TrackedFace, ...]:
        """Return the faces of the last `see` at their place in this frame, without those that have left it."""
        self._cut_patches()
        self._advance(time_s)
        self._fit((frame_bgr.shape[1], frame_bgr.shape[0]))
        in_view = [track for track in self._now.tracks if track.is_in_view]
        for track in in_view:
            _find_again(track, frame_bgr)
        size = frame_bgr.shape[1], frame_bgr.shape[0]
        faces = ((track, _box_in_frame(track.place, size)) for track in in_view)
        return tuple(
            TrackedFace(track.track_id, Detection(box, track.score, track.landmarks), is_detected=False)
            for track, box in faces
            if box is not None
        )

    def hidden(self) -> tuple[Box, ...]:
        """Return where the faces that the last frame does not show may be: at their last and their expected place."""
        if self._now.frame_size is None:
            return ()
        lost = [track for track in self._now.tracks if not track.is_in_view]
        places = [place for track in lost for place in (track.place, (*track.motion.center, *track.place[2:]))]
        boxes = (_box_in_frame(place, self._now.frame_size) for place in places)
        return tuple(dict.fromkeys(box for box in boxes if box is not None))

    def forget(self) -> None:
        """Start new tracks for all faces of the next frame."""
        self._now.tracks, self._seen_frame = [], None

    def state(self) -> dict[str, Any]:
        """Return the state as plain data for JSON."""
        self._cut_patches()
        return self._now.model_dump(mode="json")

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`.

        Raises:
            ValueError: it is not a valid state.
        """
        self._now = _State.model_validate_json(json.dumps(state))
        self._seen_frame = None

    def _advance(self, time_s: float) -> None:
        passed_s = elapsed_s(self._now.time_s, time_s, self._keep_s)
        for track in self._now.tracks:
            track.unseen_s += passed_s
        self._now.tracks = [track for track in self._now.tracks if track.unseen_s <= self._keep_s]
        for track in self._now.tracks:
            track.motion.advance(passed_s)
        self._now.time_s = time_s

    def _fit(self, size: tuple[int, int]) -> None:
        """Scale all places to the size of a frame."""
        width, height = size
        before, self._now.frame_size = self._now.frame_size, (width, height)
        if before is not None and before != (width, height):
            for track in self._now.tracks:
                _scale(track, width / before[0], height / before[1])

    def _assign(self, detections: Sequence[Detection]) -> dict[int, _Track]:
        """Return tracks by the index of their detection."""
        tracks = self._now.tracks
        if not tracks or not detections:
            return {}
        old = np.array([(*track.motion.center, *track.place[2:]) for track in tracks])[:, None]
        new = np.array([_place(detection.box) for detection in detections])[None]
        size_old, size_new = np.sqrt(old[..., 2] * old[..., 3]), np.sqrt(new[..., 2] * new[..., 3])
        apart = np.hypot(old[..., 0] - new[..., 0], old[..., 1] - new[..., 1]) * 2 / (size_old + size_new)
        resized = np.abs(np.log(size_new / size_old))
        in_reach = (apart <= self._reach) & (resized <= math.log(2))
        return {column: tracks[row] for row, column in cheapest_pairs(apart + resized, in_reach)}

    def _begin(self, detection: Detection) -> _Track:
        place = _place(detection.box)
        track = _Track(
            track_id=self._now.next_id,
            motion=Motion(center=place[:2]),
            place=place,
            landmarks=detection.landmarks,
            seen_place=place,
            seen_landmarks=detection.landmarks,
            score=detection.score,
        )
        self._now.next_id += 1
        self._now.tracks.append(track)
        return track

    def _cut_patches(self) -> None:
        if self._seen_frame is not None:
            for track in self._now.tracks:
                if track.is_in_view:
                    track.patch = patch_from_frame(self._seen_frame, track.seen_place).tobytes()
            self._seen_frame = None


def _renew(track: _Track, detection: Detection) -> None:
    """Update the track with a detection."""
    track.place = track.seen_place = _place(detection.box)
    track.landmarks = track.seen_landmarks = detection.landmarks
    track.score, track.unseen_s, track.is_in_view = detection.score, 0.0, True
    track.motion.correct(track.place[:2])


def _scale(track: _Track, across: float, down: float) -> None:
    """Scale a track to a frame of another size; its patch does not depend on the size."""

    def moved(point: Point) -> Point:
        return point[0] * across, point[1] * down

    def resized(place: Place) -> Place:
        return place[0] * across, place[1] * down, place[2] * across, place[3] * down

    track.place, track.seen_place = resized(track.place), resized(track.seen_place)
    track.landmarks = None if track.landmarks is None else _each(track.landmarks, moved)
    track.seen_landmarks = None if track.seen_landmarks is None else _each(track.seen_landmarks, moved)
    track.motion.center, track.motion.velocity = moved(track.motion.center), moved(track.motion.velocity)


def _find_again(track: _Track, frame_bgr: NDArray[np.uint8]) -> None:
    """Move a track by the flow of its patch, or by its motion if the flow is unreliable."""
    expected: Place = (*track.motion.center, *track.place[2:])
    patch = np.frombuffer(track.patch, dtype=np.uint8).reshape(PATCH_SIDE, PATCH_SIDE)
    shift = shift_of_patch(patch, track.seen_place, frame_bgr, expected)
    if shift is None:
        beside = Shift(1, complex(expected[0] - track.place[0], expected[1] - track.place[1]))
        track.place, track.landmarks = expected, _moved(track.landmarks, beside)
        return
    growth, center = abs(shift.turn), shift.of(track.seen_place[:2])
    track.place = (*center, track.seen_place[2] * growth, track.seen_place[3] * growth)
    track.landmarks = _moved(track.seen_landmarks, shift)
    track.motion.correct(center)
    track.unseen_s = 0.0


def _moved(landmarks: _Landmarks | None, shift: Shift) -> _Landmarks | None:
    return None if landmarks is None else _each(landmarks, shift.of)


def _each(landmarks: _Landmarks, move: Callable[[Point], Point]) -> _Landmarks:
    right_eye, left_eye, nose, right_mouth, left_mouth = map(move, landmarks)
    return right_eye, left_eye, nose, right_mouth, left_mouth


def _place(box: Box) -> Place:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, float(box.x2 - box.x1), float(box.y2 - box.y1)


def _box_in_frame(place: Place, size: tuple[int, int]) -> Box | None:
    """Return the part of a place inside a frame of this width and height, in whole pixels; None if it is outside."""
    x, y, width, height = place
    x1, y1 = max(round(x - width / 2), 0), max(round(y - height / 2), 0)
    x2, y2 = min(round(x + width / 2), size[0]), min(round(y + height / 2), size[1])
    return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def without_duplicates(detections: Sequence[Detection]) -> list[Detection]:
    """Return the detections in their order; of several that overlap much, only the one with the best score."""
    if len(detections) < 2:
        return list(detections)
    boxes = np.array([(found.box.x1, found.box.y1, found.box.x2, found.box.y2) for found in detections], dtype=float)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    same = shared > _SAME_FACE_IOU * (areas[:, None] + areas[None, :] - shared)
    kept: list[int] = []
    for index in sorted(range(len(detections)), key=lambda index: -detections[index].score):
        if not same[index, kept].any():
            kept.append(index)
    return [detections[index] for index in sorted(kept)]
