"""Baseline: correct a person's resting face, and the share of neutral faces, by an offset on the logits.

A person whose resting face looks sad has log odds of sad against neutral that stay high. The baseline is the median of
these log odds while the person is calm. What exceeds a ceiling is subtracted, at most `baseline_cap`. The ceiling is
`REST_LOG_ODDS`, or lower where several emotions together would leave less than `REST_NEUTRAL` to neutral. So calm faces
become neutral, while a smile, whose log odds rise far beyond the cap, stays happy. Nothing is ever added to an emotion.
Adding an offset to logits and to log probabilities is the same.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fer_deploy.errors import ConfigError
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Emotion

NEUTRAL: Final = "neutral"
RUNNING: Final = "running"
REST_LOG_ODDS: Final = -1.5
"""Natural logarithm of an emotion's probability over that of neutral which a calm face may have."""
REST_NEUTRAL: Final = 0.6
"""Least probability of neutral for a calm face. It is enough to be shown, since limits for unsure are lower."""
RUNNING_S: Final = 60.0
"""Span of the running median."""
SOONEST_S: Final = 1.0
"""Seconds of a face before its baseline is used."""
_NUM_SAMPLES: Final = 60
"""In the span of a median."""
_LEAST_PROB: Final = 1e-4
"""Smaller probabilities count as this: the tables of results have four decimals."""
_LEAST_NEUTRAL: Final = 0.1
"""A smaller probability of neutral counts as this: in a smile, the odds of two improbable emotions mean nothing."""
LIVELY: Final = ("happy", "surprise")
"""Emotions that no resting face shows. Models that call calm faces something else call them sad, angry or fearful."""
MOST_LIVELY: Final = 0.15
"""Larger share of frames with such an emotion in a calm stretch: it was not calm."""
_FIRST: Final = re.compile(r"first:(?P<seconds>\d+(\.\d+)?)s?")


class BaselineState(BaseModel):
    """What is known of one face's baseline; can be saved and restored as JSON.

    Attributes:
        begun_s: time of the first readable frame, in seconds of the recording.
        sampled_s: time of the last sample.
        samples: log odds of each label against neutral, the oldest first.
        offsets: by label, in the order of the labels; empty as long as they are unknown.
        lively: share of the samples in which an emotion of `LIVELY` was the most probable one.
        is_over: whether the calm stretch is over.
    """

    model_config = ConfigDict(extra="forbid")

    begun_s: float | None = None
    sampled_s: float | None = None
    samples: list[list[float]] = []
    offsets: list[float] = []
    lively: float = 0.0
    is_over: bool = False


class Calm(NamedTuple):
    """When a person is calm.

    Attributes:
        span_s: of the median.
        is_running: whether it goes on for ever; else only the first `span_s` seconds of each person count.
        file: table of faces of an earlier analysis in which a person is calm; None: the person's own frames count.
    """

    span_s: float
    is_running: bool
    file: Path | None = None

    @classmethod
    def of(cls, text: str) -> "Calm":
        """Parse `first:10s`, `running`, or the path of a CSV.

        Raises:
            ValueError: it is none of them.
        """
        if text == RUNNING:
            return cls(RUNNING_S, is_running=True)
        if (found := _FIRST.fullmatch(text)) is not None and float(found["seconds"]) >= SOONEST_S:
            return cls(float(found["seconds"]), is_running=False)
        if Path(text).suffix.lower() == ".csv":
            return cls(0.0, is_running=False, file=Path(text))
        raise ValueError(
            f"baseline is {text!r}, expected first:SECONDS with at least {SOONEST_S:g} s, running, or the "
            "faces.csv of an analysis of a calm face. Fix: --baseline first:10s"
        )


class Correction:
    """Corrects the probabilities of faces. Without state of its own: each face has a `BaselineState`."""

    def __init__(
        self,
        labels: Sequence[str],
        *,
        baseline: str | None,
        cap: float,
        neutral_share: float | None,
        usual_neutral_share: float | None,
    ) -> None:
        """Prepare the correction.

        Args:
            labels: the classifier's.
            baseline: see `Calm.of`; None: none.
            cap: largest offset of a label's baseline, in units of the logits after the temperature.
            neutral_share: share of neutral faces in what is analyzed, 0 to 1; None: as in the training faces.
            usual_neutral_share: share of neutral faces among those that the model was trained or measured on.

        Raises:
            ConfigError: the model has no label "neutral", or does not say its usual share, or the table cannot be read.
        """
        self.labels = tuple(labels)
        if NEUTRAL not in labels:
            raise ConfigError(
                f"the model has no label {NEUTRAL!r}, only {', '.join(labels)}. "
                "Fix: leave --baseline and --neutral-share out"
            )
        self._neutral, self._cap = self.labels.index(NEUTRAL), cap
        self._prior = self._prior_offsets(neutral_share, usual_neutral_share)
        self._calm = None if baseline is None else Calm.of(baseline)
        if self._calm is not None and self._calm.file is not None:
            self._prior = self._prior + self._offsets(log_odds_in_table(self._calm.file, self.labels))
            self._calm = None  # every face has these offsets, and learns nothing

    @property
    def is_learned_once(self) -> bool:
        """Whether each person has one calm stretch."""
        return self._calm is not None and not self._calm.is_running

    def corrected(self, emotion: Emotion, state: BaselineState, time_s: float, *, is_readable: bool) -> Emotion:
        """Return an emotion with the offsets of a face, which learns from it.

        Args:
            emotion: the network's answer.
            state: of this face; changed.
            time_s: of the recording, in seconds.
            is_readable: whether the face may be learned from.
        """
        raw = np.asarray(emotion.probs, dtype=np.float64)
        if self._calm is not None and is_readable:
            self._learn(_log_odds(raw, self._neutral), state, self._calm, time_s)
        offsets = self._prior + np.array(state.offsets) if state.offsets else self._prior
        powers = raw * np.exp(offsets)
        probs = Probabilities.of(powers / powers.sum(), self.labels)
        label = self.labels[int(probs.argmax())]
        return Emotion(label, probs[label], probs)

    def _learn(self, log_odds: NDArray[np.float64], state: BaselineState, calm: Calm, time_s: float) -> None:
        if state.begun_s is None:
            state.begun_s = time_s
        state.is_over = not calm.is_running and time_s - state.begun_s > calm.span_s
        is_due = state.sampled_s is None or time_s - state.sampled_s >= calm.span_s / _NUM_SAMPLES
        if not is_due or state.is_over:
            return
        state.sampled_s = time_s
        state.samples = [*state.samples, log_odds.tolist()][-_NUM_SAMPLES - 1 :]
        if time_s - state.begun_s >= SOONEST_S:
            state.offsets = self._offsets(np.array(state.samples)).tolist()
            state.lively = lively_share(np.array(state.samples), self.labels)

    def _offsets(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the offset (C,) of each label, 0 or negative, from log odds (N, C) of a calm face."""
        at_rest = np.median(log_odds, axis=0)
        excess = at_rest - _ceiling(np.delete(at_rest, self._neutral))
        excess[self._neutral] = 0.0
        return np.asarray(-np.clip(excess, 0.0, self._cap))

    def _prior_offsets(self, share: float | None, usual: float | None) -> NDArray[np.float64]:
        """Return the offset (C,) of each label for another share of neutral faces."""
        if share is None:
            return np.zeros(len(self.labels))
        if usual is None or not 0 < usual < 1:
            raise ConfigError(
                "neutral_share is given, but the model does not say how many of its own faces are neutral. "
                "Fix: usual_neutral_share in --config, or leave --neutral-share out"
            )
        offsets = np.full(len(self.labels), np.log((1 - share) / (1 - usual)))
        offsets[self._neutral] = np.log(share / usual)
        return offsets


def _ceiling(at_rest: NDArray[np.float64]) -> float:
    """Return the ceiling for the log odds against neutral, (N,), that leaves `REST_NEUTRAL` to neutral.

    With the K largest at the ceiling, their odds and those of the others sum to (1 - REST_NEUTRAL) / REST_NEUTRAL.
    """
    allowed = 1 / REST_NEUTRAL - 1
    falling = np.sort(at_rest)[::-1]
    for num in range(1, len(falling) + 1):
        left = allowed - np.exp(falling[num:]).sum()
        if left > 0 and (ceiling := float(np.log(left / num))) >= (falling[num] if num < len(falling) else -np.inf):
            return min(REST_LOG_ODDS, ceiling)
    return REST_LOG_ODDS


def lively_share(log_odds: NDArray[np.float64], labels: Sequence[str]) -> float:
    """Return the share of frames in which an emotion of `LIVELY` was the most probable one, from log odds (N, C)."""
    lively = [place for place, label in enumerate(labels) if label in LIVELY]
    return float(np.isin(log_odds.argmax(axis=-1), lively).mean()) if len(log_odds) else 0.0


def not_calm_text(share: float) -> str:
    """Return what is wrong with a calm stretch of which this share is lively, as the end of a sentence."""
    return (
        f"looks happy or surprised in {share:.0%} of what --baseline calls calm, so resting is learned wrongly; choose "
        "another stretch, or a recording of a calm face"
    )


def doubt_about_file(baseline: str | None, labels: Sequence[str]) -> str:
    """Return why the file of a baseline is not of a calm face; empty if it is, or is no file.

    Raises:
        ConfigError: as `log_odds_in_table`.
    """
    file = None if baseline is None else Calm.of(baseline).file
    share = 0.0 if file is None else lively_share(log_odds_in_table(file, labels), labels)
    return f"the face in {file} {not_calm_text(share)}" if share > MOST_LIVELY else ""


def log_odds_in_table(path: Path, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return the log odds (N, C) against neutral of the readable faces in a table of faces as CSV.

    Raises:
        ConfigError: it cannot be read, lacks a label, or has no readable face.
    """
    names = [f"p_{label}" for label in labels]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if others := [name for name in rows.fieldnames or () if name.startswith("p_") and name not in names]:
                raise ValueError(f"it has {', '.join(others)}, which are no labels of this model")
            if missing := [name for name in (*names, "flags") if name not in (rows.fieldnames or ())]:
                raise ValueError(f"it has no column {missing[0]}")
            probs = [[float(row[name]) for name in names] for row in rows if not row["flags"]]
    except (OSError, ValueError, TypeError) as err:
        why = getattr(err, "strerror", None) or err
        raise ConfigError(
            f"cannot read the baseline {path}: {why}. Fix: the faces.csv that fer-deploy analyze wrote, with the same "
            "model"
        ) from err
    if not probs:
        raise ConfigError(f"the baseline {path} has no readable face. Fix: a recording of a calm, readable face")
    return _log_odds(np.array(probs), list(labels).index(NEUTRAL))


def _log_odds(probs: NDArray[np.float64], neutral: int) -> NDArray[np.float64]:
    """Return the log odds (..., C) of each label against neutral."""
    of_neutral = np.maximum(probs[..., [neutral]], _LEAST_NEUTRAL)
    return np.asarray(np.log(np.maximum(probs, _LEAST_PROB)) - np.log(of_neutral))
