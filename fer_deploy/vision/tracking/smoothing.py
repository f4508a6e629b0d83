"""Smooth each person's emotions over time."""

import json
import logging
import math
import threading
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.tracking.baseline import MOST_LIVELY, BaselineState, Correction, not_calm_text
from fer_deploy.vision.tracking.motion import elapsed_s
from fer_deploy.vision.tracking.person_numbers import PersonNumbers
from fer_deploy.vision.types import Emotion, FaceResult, TrackedFace

_LOG = logging.getLogger(__name__)
_UNREADABLE_FROM: Final = 0.5
_READABLE_BELOW: Final = 0.25
"""Shares of observations with flags. Two thresholds: a face near a limit does not flicker."""


class _Mood(BaseModel):
    """Observations of one person: sums weighted by e^(-age / smoothing_s)."""

    model_config = ConfigDict(extra="forbid")

    weighted_probs: list[float]
    weight: float
    label: str | None
    unseen_s: float
    is_sure: bool | None = None
    baseline: BaselineState = Field(default_factory=BaselineState)
    weighted_unreadable: float = 0.0
    is_readable: bool = True


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid")

    time_s: float | None = None
    moods: dict[int, _Mood] = {}
    people: PersonNumbers = Field(default_factory=PersonNumbers)
    lively: dict[int, float] = {}


class Smoothing:
    """Exponentially weighted mean of each person's probabilities. Used by one thread at a time.

    An observation that is `smoothing_s` old has 1/e of a new one's weight, at any frame rate. The label changes only
    when another one leads by `hysteresis`. Below `unsure_below` no emotion is shown; it is shown again only when its
    probability is `sure_lead` above this threshold, which avoids flicker. No emotion is shown while a face is
    unreadable: once its quality has flags in half of the weighted observations, and until it has them in less than a
    quarter.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        smoothing_s: float,
        hysteresis: float,
        unsure_below: float,
        sure_lead: float,
        keep_s: float,
        hide_unreadable: bool = True,
        correction: Correction | None = None,
        warns: bool = False,
    ) -> None:
        """Start without people; the arguments are those of `PeopleConfig`.

        With a correction, the average is that of the corrected emotions. `warns` logs a calm stretch that is not calm
        when it is over.
        """
        self._warns = warns
        self._labels = tuple(labels)
        self._lock = threading.Lock()
        self._now = _State()
        self.set_rules(
            smoothing_s=smoothing_s,
            hysteresis=hysteresis,
            unsure_below=unsure_below,
            sure_lead=sure_lead,
            keep_s=keep_s,
            hide_unreadable=hide_unreadable,
            correction=correction,
        )

    def set_rules(
        self,
        *,
        smoothing_s: float,
        hysteresis: float,
        unsure_below: float,
        sure_lead: float,
        keep_s: float,
        hide_unreadable: bool = True,
        correction: Correction | None = None,
    ) -> None:
        """Use other settings from the next frame on. Callable from any thread."""
        with self._lock:
            self._smoothing_s, self._hysteresis, self._keep_s = smoothing_s, hysteresis, keep_s
            self._unsure_below, self._sure_from = unsure_below, min(1.0, unsure_below + sure_lead)
            self._hide_unreadable, self._correction = hide_unreadable, correction

    def smooth(
        self,
        faces: Sequence[TrackedFace],
        emotions: Sequence[Emotion],
        time_s: float,
        qualities: Sequence[FaceQuality] | None = None,
    ) -> tuple[FaceResult, ...]:
        """Return faces with raw and smoothed emotions, in their order. Call it with frames in order of time."""
        with self._lock:  # for `set_rules`
            self._advance(time_s)
            measured = [None] * len(faces) if qualities is None else qualities
            rows = zip(faces, emotions, measured, strict=True)
            return tuple(self._result(face, emotion, quality, time_s) for face, emotion, quality in rows)

    def state(self) -> dict[str, Any]:
        """Return the state as plain data for JSON."""
        return self._now.model_dump(mode="json")

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`.

        Raises:
            ValueError: it is not a valid state.
        """
        self._now = _State.model_validate_json(json.dumps(state))
        if any(len(mood.weighted_probs) != len(self._labels) for mood in self._now.moods.values()):
            raise ValueError(f"probabilities of another number of labels, expected {len(self._labels)}")

    def _advance(self, time_s: float) -> None:
        passed_s = elapsed_s(self._now.time_s, time_s, self._keep_s)
        kept = math.exp(-passed_s / self._smoothing_s) if self._smoothing_s else 0.0
        for mood in self._now.moods.values():
            mood.unseen_s += passed_s
            mood.weight *= kept
            mood.weighted_unreadable *= kept
            mood.weighted_probs = [prob * kept for prob in mood.weighted_probs]
        self._now.moods = {known: mood for known, mood in self._now.moods.items() if mood.unseen_s <= self._keep_s}
        # Twice as long, for the tracks are dropped by a clock of their own: a person keeps the number.
        self._now.people.forget(time_s, keep_s=2 * self._keep_s)
        self._now.time_s = time_s

    def _result(self, face: TrackedFace, emotion: Emotion, quality: FaceQuality | None, time_s: float) -> FaceResult:
        mood = self._now.moods.setdefault(
            face.track_id, _Mood(weighted_probs=[0.0] * len(self._labels), weight=0.0, label=None, unseen_s=0.0)
        )
        mood.unseen_s = 0.0
        mood.weight += 1
        is_flagged = quality is not None and bool(quality.flags)
        corrected = self._corrected(face.track_id, emotion, mood, time_s, is_readable=not is_flagged)
        raw = (emotion if corrected is None else corrected).probs.tolist()
        mood.weighted_probs = [old + new for old, new in zip(mood.weighted_probs, raw, strict=True)]
        probs = Probabilities.of([prob / mood.weight for prob in mood.weighted_probs], self._labels)
        mood.label = self._label(mood.label, probs)
        smoothed = Emotion(mood.label, probs[mood.label], probs)
        mood.is_sure = self._is_sure(smoothed.confidence, was_sure=mood.is_sure)
        is_readable = self._is_readable(mood, is_flagged=is_flagged) or not self._hide_unreadable
        return FaceResult(
            face,
            emotion,
            smoothed,
            is_sure=mood.is_sure and is_readable,
            person=self._now.people.number(face.track_id, time_s),
            quality=quality,
            is_readable=is_readable,
            corrected=corrected,
        )

    def _corrected(
        self, track: int, emotion: Emotion, mood: _Mood, time_s: float, *, is_readable: bool
    ) -> Emotion | None:
        if self._correction is None:
            return None
        known, was_over = mood.baseline, mood.baseline.is_over
        corrected = self._correction.corrected(emotion, known, time_s, is_readable=is_readable)
        if not self._correction.is_learned_once or was_over:
            return corrected
        if known.lively > MOST_LIVELY:
            self._now.lively[track] = known.lively  # kept when the person is gone
            if known.is_over and self._warns:
                _LOG.warning("track %d %s", track, not_calm_text(known.lively))
        else:
            self._now.lively.pop(track, None)
        return corrected

    @staticmethod
    def _is_readable(mood: _Mood, *, is_flagged: bool) -> bool:
        """Return whether a face has no flags in enough of the weighted observations."""
        mood.weighted_unreadable += is_flagged
        most = _UNREADABLE_FROM if mood.is_readable else _READABLE_BELOW
        mood.is_readable = mood.weighted_unreadable < most * mood.weight
        return mood.is_readable

    def _is_sure(self, confidence: float, *, was_sure: bool | None) -> bool:
        """Return whether the emotion is shown; the lead is needed only after it was hidden."""
        return bool(confidence >= (self._sure_from if was_sure is False else self._unsure_below))

    def _label(self, shown: str | None, probs: Probabilities) -> str:
        leader = self._labels[int(probs.argmax())]
        return leader if shown is None or probs[leader] - probs[shown] > self._hysteresis else shown
