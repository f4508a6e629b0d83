"""People: track the faces of one source and smooth their emotions."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from fer_deploy.errors import ConfigError
from fer_deploy.settings import Settings
from fer_deploy.spec import ModelSpec
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.tracking.baseline import NEUTRAL, Calm, Correction
from fer_deploy.vision.tracking.interpolation import faces_between
from fer_deploy.vision.tracking.smoothing import Smoothing
from fer_deploy.vision.tracking.tracks import Tracker
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, TrackedFace

DEFAULT_UNSURE_BELOW = 0.4
"""For models whose ModelSpec names no limit."""


class PeopleConfig(Settings):
    """Settings of tracking and smoothing; the defaults were measured by `benchmarks/tracking.py`."""

    smoothing_s: float = Field(
        default=0.25, ge=0, le=60, description="seconds after which an observation counts 1/e as much; 0: no smoothing"
    )
    hysteresis: float = Field(
        default=0.2, ge=0, le=1, description="lead in probability that another label needs to be shown instead"
    )
    unsure_below: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="smoothed probability of the shown label below which it is `unsure`; "
        "none: the model's own limit, below which it is wrong more often than right",
    )
    sure_lead: float = Field(
        default=0.1, ge=0, le=1, description="how far above unsure_below it must be to be shown again"
    )
    hide_unreadable: bool = Field(
        default=True, description="show `unreadable` in place of the emotion of a face with quality flags"
    )
    baseline: str | None = Field(
        default=None,
        description="correct each person's resting face: first:10s learns it from the first seconds of each person, "
        "running from the last minute, a faces.csv of an analysis from a calm recording; none: no correction",
    )
    baseline_cap: float = Field(
        default=2.0, ge=0, le=20, description="most that the baseline subtracts from a logit, after the temperature"
    )
    neutral_share: float | None = Field(
        default=None, gt=0, lt=1, description="share of neutral faces in what is analyzed; none: no correction"
    )
    usual_neutral_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of neutral faces that the model is used to; none: of the faces it was measured on",
    )
    keep_s: float = Field(
        default=2.0, gt=0, le=60, description="seconds that a face may be unseen and still be the same person"
    )
    reach: float = Field(
        default=1.0, gt=0, le=10, description="largest distance of a face from its expected place, in face sizes"
    )

    @property
    def corrects(self) -> bool:
        """Whether results have a corrected emotion beside the raw one."""
        return self.baseline is not None or self.neutral_share is not None

    def correction_in_words(self) -> dict[str, str]:
        """Return {"correction": a description} if results are corrected, else {}."""
        told = [] if self.baseline is None else [f"baseline {Path(self.baseline).name}, at most {self.baseline_cap:g}"]
        told += [] if self.neutral_share is None else [f"neutral share {self.neutral_share:g}"]
        return {"correction": "; ".join(told)} if told else {}

    @field_validator("baseline")
    @classmethod
    def _baseline_is_known(cls, baseline: str | None) -> str | None:
        if baseline is not None:
            Calm.of(baseline)
        return baseline

    def for_model(self, spec: ModelSpec) -> Self:
        """Return the settings with the model's own limit for "unsure", and its share of neutral, if none was given."""
        known: dict[str, float | None] = {}
        if self.unsure_below is None:
            known["unsure_below"] = DEFAULT_UNSURE_BELOW if spec.unsure_below is None else spec.unsure_below
        if self.usual_neutral_share is None and self.neutral_share is not None:
            known["usual_neutral_share"] = _share_of_neutral(spec)
        return self.model_copy(update=known) if known else self


class People:
    """The faces of one source over time.

    It has two halves, tracking (`see`, `follow`) and smoothing (`smooth`), which share only the settings. One thread at
    a time may use each half; both may be used at once, and smoothing may be any number of frames behind. Each half
    gets its frames in the order of the recording. `between` uses no state.
    Memory is bounded by the faces of the last `keep_s` seconds. A track's number is never used again. If the time jumps
    by more than `keep_s`, forwards or backwards, all tracks are new.
    """

    def __init__(self, config: PeopleConfig, labels: Sequence[str], *, warns: bool = False) -> None:
        """Start without people.

        Args:
            config: settings.
            labels: the classifier's labels; every `Emotion.probs` has them all.
            warns: whether to log a face whose calm stretch is not calm; see `baseline`.
        """
        self._labels = tuple(labels)
        self._tracker = Tracker(keep_s=config.keep_s, reach=config.reach)
        self._smoothing = Smoothing(labels, **_rules_of(config, self._labels), warns=warns)

    def set_config(self, config: PeopleConfig) -> None:
        """Use other settings from the next frame on; tracks and averages stay. Callable from any thread.

        Raises:
            ConfigError: the baseline's file cannot be read, or the model has no neutral; the settings stay.
        """
        rules = _rules_of(config, self._labels)  # it may fail, and then nothing changes
        self._tracker.set_rules(keep_s=config.keep_s, reach=config.reach)
        self._smoothing.set_rules(**rules)

    def see(
        self, frame_bgr: NDArray[np.uint8], detections: Sequence[Detection], time_s: float
    ) -> tuple[TrackedFace, ...]:
        """Return the faces of a frame that the detector searched.

        Args:
            frame_bgr: (H, W, 3) uint8; held until the next call, never written to.
            detections: what the detector found.
            time_s: of the recording, in seconds.

        Returns:
            The detections in their order, less those that are one face found twice.
        """
        return self._tracker.see(frame_bgr, detections, time_s)

    def see_detections(
        self, detections: Sequence[Detection], time_s: float, *, size: tuple[int, int]
    ) -> tuple[TrackedFace, ...]:
        """Return what `see` returns, for a frame whose pixels are not at hand. `follow` must not come next.

        Args:
            detections: what the detector found.
            time_s: of the recording, in seconds.
            size: width and height of the frame.
        """
        return self._tracker.see_detections(detections, time_s, size=size)

    def forget(self) -> None:
        """Start new tracks, with unsmoothed emotions, for all faces of the next `see`.

        For separate pictures, which are not frames of one video. Called by the thread of `see`.
        """
        self._tracker.forget()  # a new number is new to the smoothing, too

    def follow(self, frame_bgr: NDArray[np.uint8], time_s: float) -> tuple[TrackedFace, ...]:
        """Return the faces of the last `see` in a later frame that the detector did not search.

        Arguments as for `see`. Boxes and landmarks move with the optical flow of the face, or where that fails with
        its velocity; a face that has left the frame is left out.
        """
        return self._tracker.follow(frame_bgr, time_s)

    def hidden(self) -> tuple[Box, ...]:
        """Return where faces of the last `keep_s` seconds may be that the last `see` or `follow` did not return."""
        return self._tracker.hidden()

    @staticmethod
    def between(
        before: Sequence[TrackedFace], after: Sequence[TrackedFace], fraction: float
    ) -> tuple[TrackedFace, ...]:
        """Return the faces of a frame of a recording that lies between two `see`; see `faces_between`."""
        return faces_between(before, after, fraction)

    def smooth(
        self,
        faces: Sequence[TrackedFace],
        emotions: Sequence[Emotion],
        time_s: float,
        qualities: Sequence[FaceQuality] | None = None,
    ) -> tuple[FaceResult, ...]:
        """Return the faces of one frame with their raw and smoothed emotions, in their order.

        Args:
            faces: of `see`, `follow` or `between`.
            emotions: the classifier's answers, one a face.
            time_s: of the recording, in seconds.
            qualities: one a face; None: not measured, every face counts as readable.

        Raises:
            ValueError: not as many emotions or qualities as faces.
        """
        return self._smoothing.smooth(faces, emotions, time_s, qualities)

    def tracks_state(self) -> dict[str, Any]:
        """Return the state of `see` and `follow` as plain data for JSON. Call it from their thread."""
        return self._tracker.state()

    def smoothing_state(self) -> dict[str, Any]:
        """Return the state of `smooth` as plain data for JSON. Call it from its thread."""
        return self._smoothing.state()

    def state(self) -> dict[str, Any]:
        """Return the whole state as plain data for JSON. No other method may run meanwhile.

        If the two halves run in different threads, combine `tracks_state` and `smoothing_state` of the same frame.
        """
        return {"labels": list(self._labels), "tracks": self.tracks_state(), "smoothing": self.smoothing_state()}

    @classmethod
    def from_state(cls, config: PeopleConfig, labels: Sequence[str], state: dict[str, Any]) -> Self:
        """Return people that continue exactly from `state`.

        Raises:
            ConfigError: a state that is damaged or of a model with other labels.
        """
        people = cls(config, labels)
        if state.get("labels") != list(labels):
            raise ConfigError(
                f"the saved tracks are of a model with labels {state.get('labels')}; this one has {list(labels)}. "
                "Fix: go on with the same model, or start from the beginning"
            )
        try:
            people._tracker.restore(state["tracks"])
            people._smoothing.restore(state["smoothing"])
        except (KeyError, TypeError, ValueError) as err:
            raise ConfigError(
                "the saved tracks cannot be read: damaged, or saved by another version. Fix: start from the beginning"
            ) from err
        return people


def _share_of_neutral(spec: ModelSpec) -> float | None:
    """Return the share of neutral faces among those that a model was measured on; None if it does not say."""
    for split in spec.metrics.get("checkpoint", {}).values():
        with suppress(KeyError, TypeError, ZeroDivisionError):
            support = {label: row["support"] for label, row in split["plain"]["per_class"].items()}
            return float(support[NEUTRAL] / sum(support.values()))
    return None


def _rules_of(config: PeopleConfig, labels: Sequence[str]) -> dict[str, Any]:
    """Return the settings of `Smoothing`."""
    return {
        "smoothing_s": config.smoothing_s,
        "hysteresis": config.hysteresis,
        "unsure_below": DEFAULT_UNSURE_BELOW if config.unsure_below is None else config.unsure_below,
        "sure_lead": config.sure_lead,
        "keep_s": config.keep_s,
        "hide_unreadable": config.hide_unreadable,
        "correction": _correction_of(config, labels),
    }


def _correction_of(config: PeopleConfig, labels: Sequence[str]) -> Correction | None:
    if not config.corrects:
        return None
    return Correction(
        labels,
        baseline=config.baseline,
        cap=config.baseline_cap,
        neutral_share=config.neutral_share,
        usual_neutral_share=config.usual_neutral_share,
    )
