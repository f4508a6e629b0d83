"""Faces of frames that lie between two frames in which they are known."""

from collections.abc import Sequence

from fer_deploy.vision.types import Box, Detection, Point, TrackedFace


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
