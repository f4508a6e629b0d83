"""Kalman filter for the motion of a face; its velocity decays (Ornstein-Uhlenbeck process)."""

import math

from pydantic import BaseModel, ConfigDict

from fer_deploy.vision.types import Point

COASTING_S = 0.5
"""Time constant of the velocity's decay without a detection: people stop, and detections jitter."""
ACCELERATION = 2.0
"""Spectral density of the unknown acceleration, in (face sizes)² / s³."""
PLACE_ERROR = 0.02
"""Standard deviation of a detection's center, in face sizes."""
FIRST_SPEED = 2.0
"""Standard deviation of the velocity of a face seen once, in face sizes / s."""


class Motion(BaseModel):
    """Center and velocity of one face, and their variances.

    Attributes:
        center: in pixels.
        velocity: in pixels per second.
        variances: of the place, covariance of place and speed, of the speed; in face sizes and seconds, equal for x
            and y.
    """

    model_config = ConfigDict(extra="forbid")

    center: Point
    velocity: Point = (0.0, 0.0)
    variances: tuple[float, float, float] = (PLACE_ERROR**2, 0.0, FIRST_SPEED**2)

    def advance(self, elapsed_s: float) -> None:
        """Predict the state after `elapsed_s` seconds, at least 0. One long step equals many short ones."""
        kept = math.exp(-elapsed_s / COASTING_S)
        reach_s = COASTING_S * (1 - kept)
        unmoved_s = max(0.0, elapsed_s - 2 * reach_s + COASTING_S * (1 - kept**2) / 2)  # rounding may go below 0
        (x, y), (dx, dy), (place, both, speed) = self.center, self.velocity, self.variances
        self.center, self.velocity = (x + dx * reach_s, y + dy * reach_s), (dx * kept, dy * kept)
        self.variances = (
            place + 2 * reach_s * both + reach_s**2 * speed + ACCELERATION * COASTING_S**2 * unmoved_s,
            kept * (both + reach_s * speed) + ACCELERATION * reach_s**2 / 2,
            kept**2 * speed + ACCELERATION * COASTING_S * (1 - kept**2) / 2,
        )

    def correct(self, center: Point) -> None:
        """Update the state with the face's measured center, in pixels."""
        place, both, speed = self.variances
        of_place, of_speed = (part / (place + PLACE_ERROR**2) for part in (place, both))
        (x, y), (dx, dy) = self.center, self.velocity
        off_x, off_y = center[0] - x, center[1] - y
        self.center = (x + of_place * off_x, y + of_place * off_y)
        self.velocity = (dx + of_speed * off_x, dy + of_speed * off_y)
        self.variances = ((1 - of_place) * place, (1 - of_place) * both, speed - of_speed * both)


def elapsed_s(before_s: float | None, now_s: float, keep_s: float) -> float:
    """Return the seconds between two frames: 0 if the clock runs back a little, infinity if it jumped back.

    Args:
        before_s: time of the previous frame, None for the first.
        now_s: time of this frame.
        keep_s: a step back by more than this is a jump (a seek, a reconnect), after which earlier state is invalid.
    """
    passed_s = 0.0 if before_s is None else now_s - before_s
    return math.inf if passed_s < -keep_s else max(passed_s, 0.0)
