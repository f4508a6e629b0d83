"""Faces drawn with OpenCV's primitives, whose expression is known: for demonstrations and tests without real people."""

from fer_deploy.live.sources.drawn.expression import EXPRESSIONS, Expression, blend
from fer_deploy.live.sources.drawn.face import LOOKS, draw_face

__all__ = ["EXPRESSIONS", "LOOKS", "Expression", "blend", "draw_face"]
