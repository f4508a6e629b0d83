"""Interpolate the faces of frames between two frames with known faces."""

from collections.abc import Sequence

from fer_deploy.vision.types import Box, Detection, Point, TrackedFace


def faces_between(
    before: Sequence[TrackedFace], after: Sequence[TrackedFace], fraction: float
) -> tuple[TrackedFace, ...]:
    """Return the faces of a frame between two frames that the detector searched.

    A face found in both frames is interpolated. A face found in only one of them appeared or left at an unknown moment:
    it stays at its place for the half of the interval nearer to that frame.

    Args:
        before: faces of the earlier frame, from `People.see`.
        after: faces of the later frame.
        fraction: time since the earlier frame divided by the time between both, 0 to 1.

    Returns:
        Faces in the order of `before`, then the new ones; `is_detected` is False for all.
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
