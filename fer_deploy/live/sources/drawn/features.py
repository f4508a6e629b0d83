"""Eyes, brows and mouth of a drawn face: what an expression moves."""

from dataclasses import dataclass

import numpy as np

from fer_deploy.live.sources.drawn.canvas import Canvas, Color, Points, curve, joined, oval, tone
from fer_deploy.live.sources.drawn.expression import Expression

_EYE_X, _EYE_Y, _EYE_WIDTH = 0.37, -0.13, 0.185
_WHITE, _LASHES, _PUPIL, _GLINT = (228, 232, 236), (24, 26, 34), (12, 12, 14), (250, 250, 250)
_TEETH, _HOLE, _TONGUE = (226, 232, 236), (28, 22, 48), (80, 72, 140)


@dataclass(frozen=True)
class Look:
    """Who is drawn: colors, and how the hair is worn."""

    skin: Color
    hair: Color
    iris: Color
    lips: Color
    shirt: Color
    has_long_hair: bool


def draw_eye(canvas: Canvas, side: int, face: Expression, look: Look) -> None:
    """Draw an eye; `side` is -1 for the left one in the picture, 1 for the right one."""
    x, y, half = side * _EYE_X, _EYE_Y - 0.02 * face.squint, _EYE_WIDTH
    above = 1.3 * 0.105 * face.eye
    below = 1.3 * 0.07 * min(1.3, face.eye) * (1 - 0.7 * face.squint)
    corner = y + 0.01
    upper = curve((x - half, corner), (x - 0.5 * half, y - above), (x + 0.5 * half, y - above), (x + half, corner))
    lower = curve((x + half, corner), (x + 0.4 * half, y + below), (x - 0.4 * half, y + below), (x - half, corner))
    opening = joined(upper, lower)
    canvas.paint(opening, _WHITE)
    canvas.paint(oval(x, y - 0.01, 0.088, 0.088), look.iris, inside=opening)
    canvas.paint(oval(x, y - 0.01, 0.045, 0.045), _PUPIL, inside=opening)
    canvas.paint(oval(x - 0.03, y - 0.04, 0.018, 0.018), _GLINT, inside=opening)
    canvas.paint(_lower(upper, 0.02), tone(look.skin, 0.3), 0.5, pen=0.035, blur=0.02, inside=opening)
    canvas.paint(upper, _LASHES, 0.95, pen=0.035)
    canvas.paint(lower, tone(look.skin, 0.4), 0.8, pen=0.014, blur=0.006)
    canvas.paint(_lower(upper, -0.055), tone(look.skin, 0.5), 0.7, pen=0.02, blur=0.012)
    canvas.paint(_lower(lower, 0.05), tone(look.skin, 0.6), 0.35 + 0.4 * face.squint, pen=0.03, blur=0.025)


def draw_brow(canvas: Canvas, side: int, face: Expression, look: Look) -> None:
    """Draw a brow, and the furrow beside it where the brows are drawn together; `side` as for `draw_eye`."""
    inner = side * (0.17 - 0.06 * face.knit), -0.345 - face.brow_inner
    middle = side * 0.43, -0.44 - 0.6 * face.brow_outer - 0.4 * face.brow_inner
    outer = side * 0.66, -0.32 - face.brow_outer
    line = curve(inner, middle, outer)
    t = np.linspace(0, 1, len(line))
    half = 0.05 * np.clip(t / 0.12, 0.35, 1) * (1 - t) + 0.016 * t
    thick = np.stack([np.zeros_like(half), half], axis=1)
    canvas.paint(joined(line - thick, (line + thick)[::-1]), look.hair, 0.88, blur=0.012)
    canvas.paint(_lower(line, 0.06), tone(look.skin, 0.45), 0.5 * face.knit, pen=0.05, blur=0.03)
    furrow = curve((side * 0.075, -0.36), (side * 0.045, -0.28), (side * 0.06, -0.18))
    canvas.paint(furrow, tone(look.skin, 0.35), 0.75 * face.knit, pen=0.025, blur=0.016)


def draw_mouth(canvas: Canvas, face: Expression, look: Look) -> None:
    """Draw lips, and what is between them."""
    half, opening = 0.30 * face.width, face.opening
    y = 0.70 + 0.35 * face.jaw
    corner, middle = y - face.corner, y + 0.25 * face.corner
    upper_lip, lower_lip = 0.075 * (1 - 0.6 * face.press), 0.1 * (1 - 0.6 * face.press)
    top, bottom, round_ = middle - 0.35 * opening, middle + 0.02 + 1.35 * opening, half * opening
    left, right = (-half, corner), (half, corner)
    upper = curve(left, (-half / 2, top - 0.02), (0, top + 0.01), (half / 2, top - 0.02), right)
    lower = curve(right, (0.55 * half + round_, bottom), (-0.55 * half - round_, bottom), left)
    far_left, far_right = (-half - 0.02, corner), (half + 0.02, corner)
    rim = curve(
        far_left,
        (-half / 2, top - 0.02 - 1.3 * upper_lip),
        (-0.05, top - 1.7 * upper_lip),
        (0, top - 0.6 * upper_lip),
        (0.05, top - 1.7 * upper_lip),
        (half / 2, top - 0.02 - 1.3 * upper_lip),
        far_right,
    )
    foot = bottom + 1.7 * lower_lip
    under = curve(far_right, (0.6 * half + round_, foot), (-0.6 * half - round_, foot), far_left)
    canvas.paint(joined(rim, under), look.lips, 0.9)
    canvas.paint(joined(rim, upper[::-1]), tone(look.lips, 0.72), 0.6, blur=0.01)
    hole = joined(upper, lower)
    canvas.paint(hole, _HOLE)
    edge = middle + 0.02 + 0.95 * opening
    teeth = joined(upper, curve(right, (0.6 * half, edge), (-0.6 * half, edge), left))
    canvas.paint(teeth, _TEETH, face.teeth, blur=0.006, inside=hole)
    tongue = oval(0, middle + 1.3 * opening, 0.6 * half, 0.1)
    canvas.paint(tongue, _TONGUE, 0.6 * (1 - face.teeth) * min(1, opening / 0.2), blur=0.03, inside=hole)
    canvas.paint(upper, tone(look.lips, 0.3), 0.9, pen=0.022, blur=0.006)
    for side in (-1, 1):
        canvas.paint(oval(side * (half + 0.02), corner, 0.035, 0.03), tone(look.skin, 0.4), 0.7, blur=0.018)
    chin_fold = oval(0, middle + 0.07 + 1.05 * opening + 1.5 * lower_lip, 0.6 * half, 0.03)
    canvas.paint(chin_fold, tone(look.skin, 0.5), 0.55, blur=0.03)


def _lower(line: Points, by: float) -> Points:
    lowered: Points = line + np.array([0, by])
    return lowered
