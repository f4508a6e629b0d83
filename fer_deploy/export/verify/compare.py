"""Compare an artifact with PyTorch on the same faces, and check the differences against limits.

All artifacts are compared with the same reference, stage by stage: the FP32 ONNX, the graph converted from it, the
engine built from that. The first stage that exceeds a limit is the cause.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.base import Engine
from fer_deploy.errors import EngineError, VerificationError
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.scores import PERCENT, Limits, Scores, broken_scores, change_of, scores_of
from fer_deploy.export.verify.slice_agreement import SliceAgreement, agreement_on, slice_breaches
from fer_deploy.export.verify.slices import Slice

BATCH_SIZE = 64
OTHER_BATCH_SIZES = (1, 7)
NUM_BATCHED = 128
"""Number of faces that also run in other batch sizes, to detect a frozen or batch-dependent graph."""
_QUANTILE = 0.999


@dataclass(frozen=True)
class Comparison:
    """Differences between an artifact and PyTorch.

    Attributes:
        artifact: file name.
        stage: "onnx", "converted" or "engine".
        candidate: description of the artifact's engine.
        num_faces: number of compared faces.
        max_abs_logit: largest absolute difference of any logit.
        max_abs_logit_p999: its 99.9th percentile over faces and labels.
        max_batch_difference: largest absolute difference of the artifact's own logits between batch sizes.
        kl: mean KL divergence of the probabilities, nats.
        agreement: share of faces with the same emotion, 0 to 1.
        scores: scores of the artifact; None: faces without labels.
        change: the artifact's scores minus PyTorch's, in points.
        breaches: descriptions of exceeded limits.
        slices: comparisons on degraded faces; empty: not compared.
    """

    artifact: str
    stage: str
    candidate: str
    num_faces: int
    max_abs_logit: float
    max_abs_logit_p999: float
    max_batch_difference: float
    kl: float
    agreement: float
    scores: Scores | None = None
    change: Scores | None = None
    breaches: tuple[str, ...] = field(default=())
    slices: tuple[SliceAgreement, ...] = field(default=())

    def in_words(self) -> str:
        """Return a summary in one line."""
        scores, change = self.scores, self.change
        known = (
            "" if scores is None or change is None else f"accuracy {scores.accuracy:.2f} % ({change.accuracy:+.2f}), "
        )
        worst = min(self.slices, key=lambda part: part.agreement, default=None)
        degraded = "" if worst is None else f", on {worst.slice} ones {worst.agreement:.2%}"
        return (
            f"{known}max |Δlogit| {self.max_abs_logit:.1e}, same emotion {self.agreement:.2%} "
            f"on {self.num_faces:,} faces{degraded}"
        )

    def for_spec(self, reference: "Reference") -> dict[str, Any]:
        """Return the metrics for the artifact's ModelSpec: shares from 0 to 1, as in fer_train."""
        found = {
            "faces": reference.faces.source,
            "faces_sha256": reference.faces.sha256(),
            "num_faces": self.num_faces,
            "engine": self.candidate,
            "reference": reference.description,
            "agreement": self.agreement,
            "kl": self.kl,
            "max_abs_logit": self.max_abs_logit,
        }
        if self.slices:
            found["slice_agreement"] = {part.slice.value: part.agreement for part in self.slices}
        if self.scores is None or self.change is None:
            return found
        recall = {label: percent / PERCENT for label, percent in self.scores.recall.items()}
        return found | {
            "accuracy": self.scores.accuracy / PERCENT,
            "accuracy_change": self.change.accuracy / PERCENT,
            "f1": self.scores.macro_f1 / PERCENT,
            "recall": recall,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"breaches": list(self.breaches)}


@dataclass(frozen=True, eq=False)
class Reference:
    """PyTorch's logits, (N, C) float32, for the faces of the verification; `slices` has the same for each slice."""

    faces: VerificationFaces
    labels: tuple[str, ...]
    logits: NDArray[np.float32]
    description: str
    slices: Mapping[Slice, "Reference"] = field(default_factory=dict)

    @classmethod
    def of(
        cls, engine: Engine, faces: VerificationFaces, slices: Mapping[Slice, VerificationFaces] | None = None
    ) -> "Reference":
        """Run the reference engine; the slice `CLEAN` is a part of `faces` and needs no separate run."""
        logits = run_in_batches(engine, faces.images_nchw, BATCH_SIZE)
        whole = cls(faces, engine.spec.labels, logits, engine.description)
        parts = {
            kind: whole.subset(len(some)) if kind is Slice.CLEAN else cls.of(engine, some)
            for kind, some in (slices or {}).items()
        }
        return cls(faces, whole.labels, logits, whole.description, parts)

    def subset(self, limit: int) -> "Reference":
        """Return the reference for at most `limit` of the faces, evenly spread, without slices."""
        chosen = self.faces.positions(limit)
        return Reference(self.faces.at(chosen), self.labels, self.logits[chosen], self.description)

    def scores(self) -> Scores | None:
        """Return the reference's own scores."""
        return scores_of(self.logits, self.faces.labels, self.labels)


def compare(
    reference: Reference, candidate: Engine, *, artifact: str, stage: str, logits: NDArray[np.float32] | None = None
) -> Comparison:
    """Run the candidate on the reference's faces, some of them also in other batch sizes, and compare the logits.

    Args:
        reference: PyTorch's logits.
        candidate: engine of the artifact.
        artifact: file name.
        stage: "onnx", "converted" or "engine".
        logits: (N, C), the candidate's logits in batches of 64, if already known.
    """
    faces = reference.faces
    if logits is None:
        logits = run_in_batches(candidate, faces.images_nchw, BATCH_SIZE)
    differences = np.abs(logits - reference.logits)
    some = slice(0, NUM_BATCHED)
    in_batches = [run_in_batches(candidate, faces.images_nchw[some], size) for size in OTHER_BATCH_SIZES]
    scores = scores_of(logits, faces.labels, reference.labels)
    return Comparison(
        artifact=artifact,
        stage=stage,
        candidate=candidate.description,
        num_faces=len(faces),
        max_abs_logit=float(differences.max()),
        max_abs_logit_p999=float(np.quantile(differences, _QUANTILE)),
        max_batch_difference=max(float(np.abs(again - logits[some]).max()) for again in in_batches),
        kl=float(kl_divergence(reference.logits, logits).mean()),
        agreement=float((logits.argmax(1) == reference.logits.argmax(1)).mean()),
        scores=scores,
        change=change_of(reference.scores(), scores),
        slices=compare_slices(reference, candidate, logits),
    )


def compare_slices(reference: Reference, candidate: Engine, logits: NDArray[np.float32]) -> tuple[SliceAgreement, ...]:
    """Compare each slice; `logits` (N, C) are the candidate's for the clean faces."""
    found = []
    for kind, part in reference.slices.items():
        if kind is Slice.CLEAN:
            got = logits[reference.faces.positions(len(part.faces))]
        else:
            got = run_in_batches(candidate, part.faces.images_nchw, BATCH_SIZE)
        found.append(agreement_on(kind, part.logits, got, part.faces.labels))
    return tuple(found)


def breaches_of(found: Comparison, limits: Limits) -> tuple[str, ...]:
    """Return a description of each exceeded limit, with the measured and the allowed value."""
    broken = _broken_differences(found.max_abs_logit, found.max_abs_logit_p999, found.kl, limits)
    if not found.max_batch_difference <= limits.max_batch_difference:
        broken.append(_too_large("batch_difference", found.max_batch_difference, limits.max_batch_difference))
    broken += _broken_predictions(found.agreement, found.change, limits)
    return tuple(broken + slice_breaches(found.slices, limits.min_slice_agreement))


def require_kept(found: Comparison, reference: Reference) -> None:
    """Raise VerificationError if a limit is exceeded."""
    if found.breaches:
        raise VerificationError(
            f"{found.artifact} (stage {found.stage}) differs from {reference.description} on {found.num_faces} faces "
            f"({reference.faces.source}): {'; '.join(found.breaches)}. Fix: other limits in the config, or export again"
        )


def breaches_of_logits(reference: Reference, logits: NDArray[np.float32], limits: Limits) -> tuple[str, ...]:
    """Return a description of each limit that logits (N, C) exceed, except those of batches and slices."""
    differences = np.abs(logits - reference.logits)
    kl = float(kl_divergence(reference.logits, logits).mean())
    agreement = float((logits.argmax(1) == reference.logits.argmax(1)).mean())
    change = change_of(reference.scores(), scores_of(logits, reference.faces.labels, reference.labels))
    broken = _broken_differences(float(differences.max()), float(np.quantile(differences, _QUANTILE)), kl, limits)
    return tuple(broken + _broken_predictions(agreement, change, limits))


def _broken_differences(max_abs_logit: float, max_abs_logit_p999: float, kl: float, limits: Limits) -> list[str]:
    seen = {"max_abs_logit": max_abs_logit, "max_abs_logit_p999": max_abs_logit_p999, "max_kl": kl}
    allowed = {name: getattr(limits, name) for name in seen}
    return [
        _too_large(name.removeprefix("max_"), value, allowed[name])
        for name, value in seen.items()
        if allowed[name] is not None and not value <= allowed[name]
    ]


def _too_large(name: str, seen: float, allowed: float) -> str:
    return f"{name} {seen:.2e} (allowed {allowed:g})"


def _broken_predictions(agreement: float, change: Scores | None, limits: Limits) -> list[str]:
    broken = []
    if not agreement >= limits.min_agreement:
        broken.append(f"same emotion {agreement:.2%} (required {limits.min_agreement:.2%})")
    return broken if change is None else broken + broken_scores(change, limits)


def kl_divergence(wanted: NDArray[np.float32], got: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N,): KL(softmax(wanted) || softmax(got)) in nats."""
    p, q = _log_softmax(wanted), _log_softmax(got)
    found: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(axis=1).clip(min=0)
    return found


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def run_in_batches(engine: Engine, images_nchw: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Return logits (N, C) of all images, run in batches of `size`; raise VerificationError if the engine fails."""
    found = []
    for start in range(0, len(images_nchw), size):
        batch = images_nchw[start : start + size]
        try:
            logits = engine.infer(batch)
        except EngineError as err:
            raise VerificationError(f"in batches of {size}: {err}") from err
        wanted = (len(batch), len(engine.spec.labels))
        if logits.shape != wanted:
            raise VerificationError(f"in batches of {size}: logits have shape {logits.shape}, expected {wanted}")
        found.append(logits)
    return np.concatenate(found)
