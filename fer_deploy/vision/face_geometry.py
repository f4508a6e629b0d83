"""Check whether five landmarks can belong to a face.

Lengths are in face sizes: the side of a square with the area of the box, before the edge of the frame clips it. The
limits are well beyond what YuNet finds: 3,359 faces of FER2013 (PublicTest, enlarged to 192 pixels) and 235 of two
clips are all within them. Each limit names the extreme that was measured.
"""

import math

from fer_deploy.vision.types import Detection, Point

USUAL_WIDTH, USUAL_HEIGHT = 0.87, 1.15
"""Width and height of a typical box, in face sizes."""
MOST_ROLL_DEG = 60.0
"""Angle between the vertical and the line from the eyes to the mouth. Measured: 32."""
NOSE_BETWEEN = (0.15, 0.9)
"""Position of the nose on that line, 0 at the eyes and 1 at the mouth. Measured: 0.36 to 0.72."""
MOST_NOSE_ASIDE = 0.4
"""Distance of the nose from that line. Measured: 0.22, in half profile."""
EYES_APART = (0.04, 0.8)
"""Distance of the eyes. Measured: 0.09, in half profile, to 0.53. The person's right eye is on the image's left."""
EYES_TO_MOUTH = (0.18, 0.85)
"""Distance from the eyes to the mouth. Measured: 0.32 to 0.62."""
MOST_MOUTH = 0.7
"""Width of the mouth. Measured: 0.44."""
MOST_OUTSIDE = 0.25
"""Distance of a landmark outside the box. Measured: 0.02; more if the edge of the frame cuts the face."""


def is_face(detection: Detection) -> bool:
    """Return whether the landmarks can belong to a face; True if the detector gives none.

    The eyes must be above the mouth, the nose between them, the right eye on the correct side, and all landmarks inside
    the box at plausible distances. The check does not find every false detection: if YuNet gives one a high score, as
    for a face upside down, its landmarks often look like those of a face.
    """
    if detection.landmarks is None:
        return True
    box = detection.box
    size = max((box.x2 - box.x1) / USUAL_WIDTH, (box.y2 - box.y1) / USUAL_HEIGHT)
    points = [complex(*point) / size for point in detection.landmarks]
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    down, across = mouth - eyes, left_eye - right_eye
    if not EYES_TO_MOUTH[0] <= abs(down) <= EYES_TO_MOUTH[1]:
        return False
    place = (nose - eyes) / down  # real part: along the line; imaginary part: beside it
    return (
        abs(math.degrees(math.atan2(down.real, down.imag))) <= MOST_ROLL_DEG
        and NOSE_BETWEEN[0] <= place.real <= NOSE_BETWEEN[1]
        and abs(place.imag) * abs(down) <= MOST_NOSE_ASIDE
        and EYES_APART[0] <= -(across / down).imag * abs(down)
        and abs(across) <= EYES_APART[1]
        and abs(left_mouth - right_mouth) <= MOST_MOUTH
        and all(_outside(point, detection) <= MOST_OUTSIDE * size for point in detection.landmarks)
    )


def _outside(point: Point, detection: Detection) -> float:
    """Return the distance of a point outside the box, in pixels; 0 inside."""
    x, y = point
    box = detection.box
    return max(box.x1 - x, x - box.x2, box.y1 - y, y - box.y2, 0.0)
