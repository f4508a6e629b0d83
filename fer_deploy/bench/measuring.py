"""Measure the candidates of a folder in both uses: one call at a time, and a worker on each core."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fer_deploy.bench.agreement import agreement_of, drawn_images, logits_of, reference_of
from fer_deploy.bench.candidates import Candidate
from fer_deploy.bench.folder import Artifact, Skipped
from fer_deploy.bench.machine.energy import EnergyMeter
from fer_deploy.bench.machine.resources import ColdStart, cold_start
from fer_deploy.bench.plans import Plans
from fer_deploy.bench.ranking import (
    EXPORTED_WITH,
    Drop,
    Limits,
    Ranked,
    Result,
    decided,
    drop_here,
    drop_of_export,
    rank,
    rivals,
)
from fer_deploy.bench.scenarios import LEAST_GAIN, Server, highest_rate, offline
from fer_deploy.bench.windows import (
    Repeated,
    Together,
    Workload,
    measure_in_turn,
    measure_pairs,
    speedup,
)
from fer_deploy.engines.base import Engine
from fer_deploy.engines.best import Goal, Use
from fer_deploy.errors import FerDeployError

_PROBE_BATCH = 8
"""Images a call when settings are compared for throughput."""
OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class Measuring:
    """What is the same for all candidates.

    Attributes:
        goal: of the ranking.
        limits: that a candidate must hold.
        plans: how long to measure.
        cores: of this machine; also the number of workers.
        on_message: called with a message before each step.
        meter: of energy.
    """

    goal: Goal
    limits: Limits
    plans: Plans
    cores: int
    on_message: OnMessage
    meter: EnergyMeter = field(default_factory=EnergyMeter.of_this_machine)

    def cold_starts(self, candidates: Sequence[Candidate]) -> tuple[dict[Candidate, ColdStart], list[Skipped]]:
        """Start each artifact in a fresh process, once for each runtime; skip what does not run."""
        found: dict[Candidate, ColdStart] = {}
        skipped: list[Skipped] = []
        for group in _by_engine(candidates):
            self.on_message(f"first result of {group[0].path.name}")
            try:
                found[group[0]] = cold_start(group[0].to_dict())
            except FerDeployError as err:
                skipped.append(Skipped(group[0].name, str(err)))
        return found, skipped

    def drops(self, artifacts: Sequence[Artifact], candidates: Sequence[Candidate]) -> dict[Candidate, Drop]:
        """Return the loss of accuracy for one candidate of each artifact and runtime.

        What an export measured holds for its own runtime. Another runtime of that file is compared with this one, and
        the differences add to the export's loss. All others are compared with the reference: FP32 or FP16 if it runs
        here, else the first that was measured.
        """
        by_path = {artifact.path: artifact for artifact in artifacts}
        groups = {group[0]: group for group in _by_engine(candidates)}
        reference = reference_of([by_path[path] for path in dict.fromkeys(one.path for one in groups)])
        found = {one: drop_of_export(by_path[one.path], one) for one in groups}
        fits = [one for one in groups if (one.path == reference.path if reference else found[one] is not None)]
        compared: dict[Candidate, tuple[Candidate | None, Drop | None]] = {}
        for one in groups:
            if found[one] is None:
                exported = _as_exported(one, groups)
                own = None if exported is None else drop_of_export(by_path[one.path], exported)
                compared[one] = (next(iter(fits), None), None) if own is None else (exported, own)
        pairs = [(one, other) for one, (other, _) in compared.items() if other is not None]
        needed = dict.fromkeys(one for pair in pairs for one in pair)
        logits = {one: self._logits(groups.get(one, [one])) for one in sorted(needed, key=lambda one: one.name)}
        for one, (other, own) in compared.items():
            agreement = None if other is None else agreement_of(logits[one], logits[other])
            found[one] = drop_here(agreement, self.plans.num_faces, of_export=own)
        return {one: drop for one, drop in found.items() if drop is not None}

    def _logits(self, group: Sequence[Candidate]) -> NDArray[np.float32]:
        """Return the logits of a group's file and runtime, with as many threads as it may have."""
        self.on_message(f"answers of {group[0].path.name}")
        with max(group, key=lambda one: one.threads or 0).open() as engine:
            return logits_of(engine, drawn_images(engine.spec.input, self.plans.num_faces))

    def settings(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the fastest settings of each artifact and runtime; of about equal ones, the plainest."""
        batch = _PROBE_BATCH if self.goal == "throughput" else 1
        chosen = []
        tried = [one for one in candidates if self.plans.spins or not one.spinning]
        for group in _by_engine(tried):
            if len(group) == 1:
                chosen.append(group[0])
                continue
            self.on_message(f"threads for {group[0].path.name}")
            with ExitStack() as opened:
                engines = {one.name: opened.enter_context(one.open()) for one in group}
                loads = {name: self.workload(engine, "single", batch) for name, engine in engines.items()}
                found = measure_in_turn(loads, self.plans.threads)
            best = min(one.latency_ms(50) for one in found.values())
            chosen.append(next(one for one in group if found[one.name].latency_ms(50) <= (1 + LEAST_GAIN) * best))
        return chosen

    def ranking(
        self, use: Use, candidates: Sequence[Candidate], artifacts: Sequence[Artifact], drops: dict[Candidate, Drop]
    ) -> list[Ranked]:
        """Measure the candidates of a use in turn and rank them."""
        by_path = {artifact.path: artifact for artifact in artifacts}
        drop = {(one.path, one.runtime): found for one, found in drops.items()}
        with ExitStack() as opened:
            engines = {one: opened.enter_context(one.open()) for one in candidates}
            self.on_message(f"{_WORDS[use]}: one face a call")
            singles = measure_in_turn(
                {one.name: self.workload(engine, use, 1) for one, engine in engines.items()}, self.plans.single
            )
            results = []
            for one, engine in engines.items():
                self.on_message(f"{_WORDS[use]}: batches of {one.path.name}")
                found = offline(
                    self._by_batch(engine, use),
                    self.plans.batches,
                    most=self.plans.most_batch,
                    longest_ms=self.plans.longest_ms,
                    step=self.plans.batch_step,
                    patience=self.plans.patience,
                )
                load = self.workload(engine, use, found.batch)
                joules = self.meter.joules_per_item(load, self.plans.batches.window_s)
                results.append(
                    Result(one, by_path[one.path], drop[one.path, one.runtime], singles[one.name], found, joules)
                )
            return self._decided(rank(results, self.goal, self.limits), engines, use)

    def server(self, best: Ranked) -> Server | None:
        """Return the highest rate of random arrivals that the workers serve.

        None: it is left out, or the best holds no limit anyway.
        """
        if self.plans.server_s is None or not best.is_usable:
            return None
        self.on_message("arrivals at random times")
        with best.result.candidate.open() as engine:
            return highest_rate(
                [_call(engine, 1)] * (self.cores if engine.is_concurrent else 1),
                limit_ms=self.limits.latency_budget_ms or SERVER_LIMIT_MS,
                ceiling=best.result.single.per_s,
                seconds=self.plans.server_s,
            )

    def workload(self, engine: Engine, use: Use, batch: int) -> Workload:
        """Return calls with so many images; an engine that runs one call at a time has no workers beside it."""
        call = _call(engine, batch)
        if use == "workers" and engine.is_concurrent:
            return Together([call] * self.cores, items=batch)
        return Repeated(call, items=batch)

    def _by_batch(self, engine: Engine, use: Use) -> Callable[[int], Workload]:
        return lambda batch: self.workload(engine, use, batch)

    def _decided(self, ranked: list[Ranked], engines: dict[Candidate, Engine], use: Use) -> list[Ranked]:
        """Measure the best ones again, in pairs with the first."""
        close = rivals(ranked, self.goal, self.limits, most=self.plans.most_rivals)
        if len(close) < 2:
            return ranked
        self.on_message(f"{_WORDS[use]}: the best {len(close)} in pairs")
        loads = {}
        for result in close:
            batch = result.batch_within(self.limits.latency_budget_ms) if self.goal == "throughput" else 1
            loads[result.candidate.name] = self.workload(engines[result.candidate], use, batch or 1)
        found = measure_pairs(loads, self.plans.num_pairs, self.plans.pairs)
        first = found[close[0].candidate.name]
        by: Literal["per_s", "median_ms"] = "per_s" if self.goal == "throughput" else "median_ms"
        speedups = {one.candidate: speedup(found[one.candidate.name], first, by=by) for one in close[1:]}
        return decided(ranked, speedups)


SERVER_LIMIT_MS = 50.0
"""Limit of p99 in the server scenario, if there is no budget."""
_WORDS: dict[Use, str] = {"single": "one call at a time", "workers": "a worker on each core"}


def workers_of(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates whose calls take one thread, or none of the CPU's."""
    return [one for one in candidates if one.threads in (None, 1)]


def _by_engine(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Return the candidates in groups of one artifact and runtime, which differ in their settings."""
    return [list(group) for _, group in groupby(candidates, key=lambda one: (one.path, one.runtime))]


def _as_exported(one: Candidate, groups: Mapping[Candidate, object]) -> Candidate | None:
    """Return a file in the runtime that exports measure, where it runs here; None: it may not.

    OpenVINO's engine opens a file in ONNX Runtime first, so there it runs even if it is not among the candidates.
    """
    here = (other for other in groups if (other.path, other.runtime) == (one.path, EXPORTED_WITH))
    alone = Candidate(one.path, EXPORTED_WITH, one.threads, False) if one.runtime == "openvino" else None
    return next(here, alone)


def _call(engine: Engine, batch: int) -> Callable[[], object]:
    drawn = drawn_images(engine.spec.input)  # the same array for all engines of a folder
    images = np.concatenate([drawn] * -(-batch // len(drawn)))[:batch]
    return lambda: engine.infer(images)
