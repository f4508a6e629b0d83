"""Draw one face: head, hair, light and shade, and the features of an expression."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.sources.drawn.canvas import Canvas, Points, curve, joined, oval, tone
from fer_deploy.live.sources.drawn.expression import Expression
from fer_deploy.live.sources.drawn.features import Look, draw_brow, draw_eye, draw_mouth

LOOKS: Final = (
    Look(
        skin=(150, 182, 222),
        hair=(32, 38, 50),
        iris=(70, 92, 110),
        lips=(104, 104, 176),
        shirt=(120, 96, 70),
        has_long_hair=False,
    ),
    Look(
        skin=(98, 138, 186),
        hair=(20, 22, 28),
        iris=(40, 50, 70),
        lips=(80, 78, 140),
        shirt=(70, 60, 120),
        has_long_hair=True,
    ),
)
"""The people that are drawn."""


@lru_cache(maxsize=128)
def draw_face(look: Look, face: Expression) -> NDArray[np.uint8]:
    """Return a face with shoulders, (285, 252, 4) uint8: blue, green, red, opacity; read-only, for it is kept."""
    canvas = Canvas()
    _draw_head(canvas, face, look)
    _draw_nose(canvas, face, look)
    for side in (-1, 1):
        draw_eye(canvas, side, face, look)
    for side in (-1, 1):
        draw_brow(canvas, side, face, look)
        fold = curve((side * 0.20, 0.34), (side * 0.42, 0.44), (side * 0.50, 0.62), (side * 0.50, 0.74))
        canvas.paint(fold, tone(look.skin, 0.45), 0.8 * face.cheek, pen=0.035, blur=0.03)
    draw_mouth(canvas, face, look)
    _draw_fringe(canvas, look)
    picture = canvas.bgra()
    picture.flags.writeable = False
    return picture


def _draw_head(canvas: Canvas, face: Expression, look: Look) -> None:
    """Draw what lies behind the features."""
    skin = look.skin
    _draw_hair_behind(canvas, look)
    shirt = joined(
        curve((-1.5, 1.9), (-1.3, 1.38), (-0.7, 1.32), (-0.4, 1.25)),
        curve((0.4, 1.25), (0.7, 1.32), (1.3, 1.38), (1.5, 1.9)),
    )
    canvas.paint(shirt, look.shirt, is_solid=True)
    neck = joined([(-0.40, 0.7)], curve((-0.42, 1.25), (-0.3, 1.45), (0.3, 1.45), (0.42, 1.25)), [(0.40, 0.7)])
    canvas.paint(neck, tone(skin, 0.68), is_solid=True)
    for side in (-1, 1):
        canvas.paint(oval(side * 0.86, 0.02, 0.10, 0.20), tone(skin, 0.82), is_solid=True)
    outline = _head_outline(face.jaw)
    canvas.paint(outline, skin, is_solid=True)
    canvas.shade_rim(outline, oval(0, 0, 0.62, 0.92), tone(skin, 0.62), 0.75, blur=0.22)
    canvas.paint(oval(0, -0.5, 0.42, 0.18), tone(skin, 1.12), 0.6, blur=0.12)
    canvas.paint(oval(0, 0.98 + face.jaw, 0.2, 0.12), tone(skin, 1.08), 0.6, blur=0.08)
    for side in (-1, 1):
        cheek = oval(side * 0.46, 0.32 - 0.04 * face.cheek, 0.2, 0.14)
        canvas.paint(cheek, tone(skin, 1.12), 0.5 + 0.3 * face.cheek, blur=0.1)
        # The dark sockets are what a Haar cascade's first features look for.
        canvas.paint(oval(side * 0.37, -0.17, 0.24, 0.13), tone(skin, 0.6), 0.62, blur=0.07)
    canvas.paint(oval(0, -0.2, 0.16, 0.06), tone(skin, 0.5), 0.5 * face.knit, blur=0.04)
    raised = max(0.0, face.brow_inner) / 0.17
    for y in (-0.62, -0.73):
        canvas.paint(curve((-0.4, y), (0, y - 0.06), (0.4, y)), tone(skin, 0.6), 0.55 * raised, pen=0.02, blur=0.02)


def _head_outline(jaw: float) -> Points:
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    x, y = np.sin(t), -np.cos(t)
    half_width = 0.86 * (1 - 0.2 * np.clip(y, 0, 1) ** 2.2)
    return np.stack([x * half_width, np.where(y < 0, 1.02, 1.16 + jaw) * y + 0.06], axis=1)


def _draw_nose(canvas: Canvas, face: Expression, look: Look) -> None:
    skin = look.skin
    canvas.paint(oval(0, 0.06, 0.065, 0.26), tone(skin, 1.14), 0.75, blur=0.04)
    for side in (-1, 1):
        flank = curve((side * 0.11, -0.14), (side * 0.07, 0.1), (side * 0.15, 0.3))
        canvas.paint(flank, tone(skin, 0.6), 0.45, pen=0.05, blur=0.05)
    canvas.paint(oval(0, 0.35, 0.1, 0.07), tone(skin, 1.12), 0.5, blur=0.03)
    wings = curve((-0.17, 0.36), (-0.12, 0.46), (0, 0.42), (0.12, 0.46), (0.17, 0.36))
    canvas.paint(wings, tone(skin, 0.42), 0.8, pen=0.03, blur=0.02)
    for side in (-1, 1):
        canvas.paint(oval(side * 0.075, 0.415, 0.045, 0.022), tone(skin, 0.2), 0.9, blur=0.012)


def _draw_hair_behind(canvas: Canvas, look: Look) -> None:
    if not look.has_long_hair:
        canvas.paint(oval(0, -0.32, 0.94, 0.95), look.hair, is_solid=True)
        return
    crown = curve((-1.02, 0.0), (-1.1, -1.5), (1.1, -1.5), (1.02, 0.0))
    right = curve((1.02, 0), (1.15, 0.7), (1.0, 1.15), (0.75, 1.2))
    canvas.paint(joined(crown, right, (right * [-1, 1])[::-1]), look.hair, is_solid=True)


def _draw_fringe(canvas: Canvas, look: Look) -> None:
    """Draw the hair before the forehead."""
    if look.has_long_hair:
        left = joined(
            curve((-0.95, 0.15), (-0.98, -1.35), (0.0, -1.35), (0.2, -1.12)),
            curve((0.2, -0.98), (-0.3, -0.78), (-0.72, -0.5), (-0.80, 0.1)),
        )
        right = joined(
            curve((0.95, 0.15), (0.98, -1.35), (0.3, -1.35), (0.1, -1.12)),
            curve((0.12, -0.98), (0.4, -0.85), (0.74, -0.5), (0.80, 0.1)),
        )
        canvas.paint(left, look.hair, is_solid=True)
        canvas.paint(right, look.hair, is_solid=True)
        return
    outer = curve((-0.9, -0.1), (-0.98, -1.0), (-0.5, -1.32), (0.1, -1.28), (0.8, -1.25), (0.98, -0.8), (0.9, -0.1))
    hairline = curve(
        (0.84, -0.2), (0.76, -0.62), (0.45, -0.80), (-0.2, -0.72), (-0.70, -0.72), (-0.80, -0.5), (-0.84, -0.2)
    )
    canvas.paint(joined(outer, hairline), look.hair, is_solid=True)
