"""Who is in the picture and how they feel: tracks and smoothing of one source."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_deploy.errors import ConfigError
from fer_deploy.settings import Settings
from fer_deploy.vision.smoothing import Smoothing
from fer_deploy.vision.tracks import Tracker
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Point, TrackedFace


class PeopleConfig(Settings):
    """How faces are tracked and their emotions smoothed; defaults measured by `benchmarks/tracking.py`."""

    smoothing_s: float = Field(
        default=0.5, ge=0, le=60, description="seconds after which an observation counts 1/e as much; 0: no smoothing"
    )
    hysteresis: float = Field(
        default=0.1, ge=0, le=1, description="lead in probability that another label needs to be shown instead"
    )
    unsure_below: float = Field(
        default=0.4, ge=0, le=1, description="smoothed probability of the shown label below which it is `unsure`"
    )
    keep_s: float = Field(
        default=2.0, gt=0, le=60, description="seconds that a face may be unseen and still be the same person"
    )
    reach: float = Field(
        default=1.5, gt=0, le=10, description="face sizes from its expected place at which a face may turn up, at most"
    )


class People:
    """The faces of one source over time.

    Two halves that share nothing but settings: `see` and `follow` belong to one thread, `smooth` to one other or the
    same, and it may lag behind by as many frames as it likes. Each takes its frames in the order of the recording.
    Memory is bounded by the faces of the last `keep_s` seconds. A track's number is never given twice. Where time runs
    back by more than `keep_s` or leaps ahead by more, everybody is new.
    """

    def __init__(self, config: PeopleConfig, labels: Sequence[str]) -> None:
        """Start knowing nobody.

        Args:
            config: settings.
            labels: the classifier's labels; every `Emotion.probs` has them all.
        """
        self._labels = tuple(labels)
        self._tracker = Tracker(keep_s=config.keep_s, reach=config.reach)
        self._smoothing = Smoothing(
            labels,
            smoothing_s=config.smoothing_s,
            hysteresis=config.hysteresis,
            unsure_below=config.unsure_below,
            keep_s=config.keep_s,
        )

    def see(
        self, frame_bgr: NDArray[np.uint8], detections: Sequence[Detection], time_s: float
    ) -> tuple[TrackedFace, ...]:
        """Return the faces of a frame that the detector looked at.

        Args:
            frame_bgr: (H, W, 3) uint8; held until the next call, never written to.
            detections: what the detector found.
            time_s: of the recording, in seconds.

        Returns:
            The detections in their order, less those that are one face found twice.
        """
        return self._tracker.see(frame_bgr, detections, time_s)

    def follow(self, frame_bgr: NDArray[np.uint8], time_s: float) -> tuple[TrackedFace, ...]:
        """Return the faces of the last `see` as they are in a later frame that no detector looked at.

        Arguments as for `see`. Boxes and landmarks move with the optical flow of the face, or where that fails with
        its velocity; a face that has left the frame is left out.
        """
        return self._tracker.follow(frame_bgr, time_s)

    def smooth(
        self, faces: Sequence[TrackedFace], emotions: Sequence[Emotion], time_s: float
    ) -> tuple[FaceResult, ...]:
        """Return the faces of one frame with their raw and smoothed emotions, in their order.

        Args:
            faces: of `see`, `follow` or `between`.
            emotions: the classifier's answers, one a face.
            time_s: of the recording, in seconds.

        Raises:
            ValueError: not as many emotions as faces.
        """
        return self._smoothing.smooth(faces, emotions, time_s)

    def tracks_state(self) -> dict[str, Any]:
        """Return the half of `see` and `follow`, for JSON; to be called from their thread."""
        return self._tracker.state()

    def smoothing_state(self) -> dict[str, Any]:
        """Return the half of `smooth`, for JSON; to be called from its thread."""
        return self._smoothing.state()

    def state(self) -> dict[str, Any]:
        """Return everything, for JSON, while no other method runs.

        Where the halves run apart, put the same together from `tracks_state` and `smoothing_state` of one frame.
        """
        return {"labels": list(self._labels), "tracks": self.tracks_state(), "smoothing": self.smoothing_state()}

    @classmethod
    def from_state(cls, config: PeopleConfig, labels: Sequence[str], state: dict[str, Any]) -> Self:
        """Return people who go on exactly where `state` was taken.

        Raises:
            ConfigError: a state that is damaged or of a model with other labels.
        """
        people = cls(config, labels)
        if state.get("labels") != list(labels):
            raise ConfigError(
                f"the saved tracks are of a model with labels {state.get('labels')}; this one has {list(labels)}. "
                "Fix: go on with the same model, or start anew"
            )
        try:
            people._tracker.restore(state["tracks"])
            people._smoothing.restore(state["smoothing"])
        except (KeyError, TypeError, ValueError) as err:
            raise ConfigError(
                "the saved tracks cannot be read: damaged, or saved by another version. Fix: start anew"
            ) from err
        return people


def faces_between(
    before: Sequence[TrackedFace], after: Sequence[TrackedFace], fraction: float
) -> tuple[TrackedFace, ...]:
    """Return the faces of a frame between two that the detector looked at.

    A face seen on both sides is interpolated. One seen on one side only came or went at an unknown moment: it is taken
    to be where it was seen for the half of the time that is nearer to that side.

    Args:
        before: faces of the earlier frame, from `People.see`.
        after: faces of the later one.
        fraction: time since the earlier over time between both, 0 to 1.

    Returns:
        Faces in the order of `before`, then those that are new; none of them `is_detected`.
    """
    later = {face.track_id: face.detection for face in after}
    earlier = {face.track_id for face in before}
    faces = []
    for face in before:
        if face.track_id in later:
            found = _interpolated(face.detection, later[face.track_id], fraction)
            faces.append(TrackedFace(face.track_id, found, is_detected=False))
        elif fraction < 0.5:
            faces.append(TrackedFace(face.track_id, face.detection, is_detected=False))
    came = (face for face in after if face.track_id not in earlier and fraction >= 0.5)
    return (*faces, *(TrackedFace(face.track_id, face.detection, is_detected=False) for face in came))


def _interpolated(before: Detection, after: Detection, fraction: float) -> Detection:
    def mix(old: float, new: float) -> float:
        return old + fraction * (new - old)

    def mix_points(old: Point, new: Point) -> Point:
        return mix(old[0], new[0]), mix(old[1], new[1])

    old, new = before.box, after.box
    box = Box(
        round(mix(old.x1, new.x1)), round(mix(old.y1, new.y1)), round(mix(old.x2, new.x2)), round(mix(old.y2, new.y2))
    )
    landmarks = None
    if before.landmarks is not None and after.landmarks is not None:
        right_eye, left_eye, nose, right_mouth, left_mouth = map(mix_points, before.landmarks, after.landmarks)
        landmarks = right_eye, left_eye, nose, right_mouth, left_mouth
    return Detection(box, mix(before.score, after.score), landmarks)
