"""Ranking: which candidates hold the limits, which is the best, and why the others are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fer_deploy.bench.agreement import SOURCE
from fer_deploy.bench.candidates import RUNTIMES, Candidate
from fer_deploy.bench.folder import PLAN, Artifact
from fer_deploy.bench.scenarios import Offline
from fer_deploy.bench.statistics import Interval
from fer_deploy.bench.windows import Measurement
from fer_deploy.engines.best import Goal

CLOSE: Final = 0.85
"""Candidates with at least this share of the best one's value are measured again, in pairs with it."""
_KINDS: Final = ("fp32", "fp16", "int8-cpu", "int8", PLAN)
"""The simplest first: without quantization, and without code for one GPU."""
_POINTS: Final = 100
EXPORTED_WITH: Final = "onnxruntime-cpu"
"""Runtime that an export measures an ONNX file with."""


@dataclass(frozen=True)
class Limits:
    """What a candidate must hold.

    Attributes:
        latency_budget_ms: of p99; None: any.
        max_accuracy_drop: in points, against the checkpoint; None: any.
    """

    latency_budget_ms: float | None = None
    max_accuracy_drop: float | None = None


@dataclass(frozen=True)
class Drop:
    """Loss of accuracy against the checkpoint, or against the reference in the folder.

    Attributes:
        points: the loss, negative for a gain; None: nothing is known.
        is_bound: whether it is at most so much: so many answers differ.
        basis: how it is known, as text.
    """

    points: float | None
    is_bound: bool
    basis: str

    def in_words(self) -> str:
        """Return it as text for a table."""
        if self.points is None:
            return "unknown"
        return f"<= {self.points:.2f}" if self.is_bound else f"{self.points:+.2f}"


@dataclass(frozen=True)
class Result:
    """What was measured of a candidate in one use.

    Attributes:
        candidate: artifact file, engine and settings.
        artifact: the file.
        drop: of accuracy.
        single: one image a call.
        offline: throughput by batch.
        joules: energy of the whole machine for one image at the best batch; None: no counter can be read.
    """

    candidate: Candidate
    artifact: Artifact
    drop: Drop
    single: Measurement
    offline: Offline
    joules: float | None = None

    @property
    def is_stable(self) -> bool:
        """Whether the windows agreed, with one image a call and at the best batch."""
        return self.single.is_stable and self.offline.best.is_stable

    def batch_within(self, budget_ms: float | None) -> int | None:
        """Return the batch with the highest throughput whose p99 holds the budget; None: none does."""
        fits = [n for n, one in self.offline.by_batch.items() if budget_ms is None or one.latency_ms(99) <= budget_ms]
        return max(fits, key=lambda batch: self.offline.by_batch[batch].per_s, default=None)


@dataclass(frozen=True)
class Ranked:
    """A result with its place; `verdict` says why it is or is not the best."""

    result: Result
    is_usable: bool
    verdict: str


def drop_of_export(artifact: Artifact, candidate: Candidate) -> Drop | None:
    """Return the loss of accuracy that the export of an artifact measured; None: it did not, or not for this engine.

    The measurement holds for the engine that the export ran: ONNX Runtime on a CPU, or TensorRT for a plan. Other
    engines compute with other types.
    """
    if candidate.runtime != EXPORTED_WITH and artifact.kind != PLAN:
        return None
    if artifact.accuracy_change is not None:
        return Drop(-artifact.accuracy_change, False, f"its export measured it on {artifact.faces}")
    if artifact.agreement is not None:
        return Drop(_POINTS * (1 - artifact.agreement), True, f"other answers in its export on {artifact.faces}")
    return None


def drop_here(agreement: float | None, num_faces: int, *, of_export: Drop | None = None) -> Drop:
    """Return the loss of accuracy that the answers on this machine allow.

    Args:
        agreement: with the reference, on drawn faces; None: there is no reference.
        num_faces: drawn faces.
        of_export: loss of the same file in the runtime that is the reference; None: the reference is another file.
    """
    if agreement is None:
        return Drop(None, False, "its export did not measure it, and there is no FP32 or FP16 to compare with")
    other = _POINTS * (1 - agreement)
    if of_export is None or of_export.points is None:
        return Drop(other, True, f"other answers here on {num_faces} {SOURCE}")
    basis = f"{of_export.basis}, and {other:.2f} % other answers here on {num_faces} {SOURCE}"
    return Drop(of_export.points + other, True, basis)


def rank(results: Sequence[Result], goal: Goal, limits: Limits) -> list[Ranked]:
    """Return the results sorted by the goal; those within the limits come first."""
    judged = [(result, _breach(result, limits)) for result in results]
    ordered = sorted(
        judged,
        key=lambda one: (one[1] is not None, -value_of(one[0], goal, limits), one[0].single.latency_ms(50)),
    )
    ranked = [Ranked(result, breach is None, breach or "") for result, breach in ordered]
    usable = [one for one in ranked if one.is_usable]
    if not usable:
        return ranked
    best = value_of(usable[0].result, goal, limits)
    return [
        replace(one, verdict=_slower(value_of(one.result, goal, limits) / best, goal)) if one.is_usable else one
        for one in ranked
    ]


def value_of(result: Result, goal: Goal, limits: Limits) -> float:
    """Return what the goal maximizes: calls a second, images a second within the budget, or the inverse of the size."""
    if goal == "latency":
        return 1e3 / result.single.latency_ms(50)
    if goal == "size":
        return 1 / result.artifact.num_bytes
    batch = result.batch_within(limits.latency_budget_ms)
    if batch is not None:
        return result.offline.by_batch[batch].per_s
    # One image a call was measured twice, and near the budget one of the two may hold it.
    return 0.0 if _is_late(result, limits) else result.single.per_s


def simplicity(result: Result) -> tuple[int, ...]:
    """Return a key that is smaller for a simpler choice: no quantization, a plain runtime, no spinning, few threads."""
    candidate = result.candidate
    runtime = list(RUNTIMES).index(candidate.runtime)
    return _KINDS.index(result.artifact.kind), runtime, candidate.spinning, candidate.threads or 0


def rivals(ranked: Sequence[Ranked], goal: Goal, limits: Limits, *, most: int = 4) -> list[Result]:
    """Return the best result and those close to it, at most `most`; less than two: nothing is to be decided."""
    usable = [one.result for one in ranked if one.is_usable]
    if not usable:
        return []
    best = value_of(usable[0], goal, limits)
    if goal == "size":  # the engines of the smallest file differ in speed
        return [result for result in usable if result.artifact == usable[0].artifact][:most]
    return [result for result in usable if value_of(result, goal, limits) >= CLOSE * best][:most]


def decided(ranked: Sequence[Ranked], speedups: Mapping[Candidate, Interval]) -> list[Ranked]:
    """Return the ranking after the pairs: of those that cannot be told from the best, the simplest comes first.

    Args:
        ranked: of `rank`.
        speedups: how many times as fast a rival is as the best of `ranked`, for each rival.
    """
    first, rest = ranked[0], list(ranked[1:])
    equal = [one for one in rest if one.result.candidate in speedups and _is_equal(speedups[one.result.candidate])]
    faster = [one for one in rest if one.result.candidate in speedups and speedups[one.result.candidate].low > 1]
    if faster:  # the pairs overrule the first look
        winner = max(faster, key=lambda one: speedups[one.result.candidate].value)
    else:
        winner = min([first, *equal], key=lambda one: simplicity(one.result))
    note = ""
    if not faster and equal:
        others = ", ".join(one.result.candidate.name for one in [first, *equal] if one is not winner)
        note = f"; not distinguishable in speed from {others}, and simpler"
    found = [replace(winner, verdict=f"best{note}")]
    for one in ranked:
        interval = speedups.get(one.result.candidate)
        if one is first and one is not winner:
            found.append(replace(one, verdict=_overruled(speedups[winner.result.candidate], winner)))
        elif one is not winner:
            found.append(one if interval is None else replace(one, verdict=_in_pairs(interval, first, winner)))
    return found


def _is_equal(interval: Interval) -> bool:
    return not interval.excludes(1)


def _in_pairs(interval: Interval, first: Ranked, winner: Ranked) -> str:
    of = "the best" if winner is first else first.result.candidate.name
    if _is_equal(interval):
        return f"as fast as {of} within the noise ({interval.low:.2f} to {interval.high:.2f} times), and less simple"
    return f"{interval.value:.2f} times as fast as {of} ({interval.low:.2f} to {interval.high:.2f})"


def _overruled(interval: Interval, winner: Ranked) -> str:
    """Return why the best of the first look is not the winner after the pairs; `interval` is the winner's."""
    name = winner.result.candidate.name
    if _is_equal(interval):
        return f"as fast as {name} within the noise ({interval.low:.2f} to {interval.high:.2f} times), and less simple"
    return f"{name} is {interval.value:.2f} times as fast ({interval.low:.2f} to {interval.high:.2f})"


def _slower(share: float, goal: Goal) -> str:
    if share >= 1:
        return "best"
    return f"{1 / share:.2f} times as large" if goal == "size" else f"{share:.2f} times as fast as the best"


def _breach(result: Result, limits: Limits) -> str | None:
    """Return which limit is not held, or None."""
    drop, points = limits.max_accuracy_drop, result.drop.points
    if _is_late(result, limits):
        p99 = result.single.latency_ms(99)
        return f"its p99 of {p99:.2f} ms exceeds the budget of {limits.latency_budget_ms:g} ms"
    if drop is not None and points is not None and points > drop:
        at_most = "up to " if result.drop.is_bound else ""
        return f"{at_most}{points:.2f} points of accuracy lost, allowed {drop:g}: {result.drop.basis}"
    return None


def _is_late(result: Result, limits: Limits) -> bool:
    """Return whether p99 of a call with one image exceeds the budget."""
    budget = limits.latency_budget_ms
    return budget is not None and result.single.latency_ms(99) > budget
