"""Outcome of `fer-deploy bench`: run everything, and turn it into best.json and a JSON of all numbers."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from fer_deploy.bench.candidates import Candidate, candidates_of
from fer_deploy.bench.folder import PLAN, Artifact, Skipped, read_folder
from fer_deploy.bench.machine.energy import EnergyMeter
from fer_deploy.bench.machine.host import Host
from fer_deploy.bench.machine.resources import ColdStart
from fer_deploy.bench.machine.roofline import GraphWork, Roof, graph_work, measure_roof
from fer_deploy.bench.measuring import Measuring, OnMessage, workers_of
from fer_deploy.bench.plans import BRIEF, USUAL
from fer_deploy.bench.ranking import Limits, Ranked
from fer_deploy.bench.scenarios import Server
from fer_deploy.engines.base import Device
from fer_deploy.engines.best import USES, Best, Entry, Fingerprint, Goal, Use
from fer_deploy.engines.threads import choose_threads
from fer_deploy.errors import EngineError, VerificationError
from fer_deploy.settings import Settings

FORMAT = "fer-bench-1"


class BenchConfig(Settings):
    """Settings of `fer-deploy bench`."""

    goal: Goal = "latency"
    latency_budget: float | None = Field(default=None, gt=0, description="limit of p99, in ms")
    max_accuracy_drop: float = Field(default=1.0, ge=0, description="limit, in points")
    quick: bool = Field(default=False, description="short windows, for a look")
    threads: int | None = Field(default=None, ge=1, description="the most threads of a call; none: every core")
    device: Device = "auto"

    @property
    def limits(self) -> Limits:
        """What a candidate must hold."""
        return Limits(self.latency_budget, self.max_accuracy_drop)


@dataclass(frozen=True)
class Outcome:
    """Everything that was measured.

    Attributes:
        folder: of the artifacts.
        config: the settings.
        host: the machine, before and after.
        cores: that were used.
        ranked: results by use, best first.
        skipped: what was not measured, and why.
        cold: first results, for one candidate of each artifact and runtime.
        works: of the ONNX files, by name.
        roofs: of this machine, by number of threads.
        server: the highest rate of arrivals, of the best with workers.
        meter: that the energy was read from, or why there is none.
        left_out: what --quick does not measure.
        seconds: that all of it took.
    """

    folder: Path
    config: BenchConfig
    host: Host
    cores: int
    ranked: Mapping[Use, Sequence[Ranked]]
    skipped: Sequence[Skipped]
    cold: Mapping[Candidate, ColdStart]
    works: Mapping[str, GraphWork]
    roofs: Mapping[int, Roof]
    server: Server | None
    meter: EnergyMeter
    left_out: Sequence[str]
    seconds: float = field(default=0.0)

    def best(self) -> Best:
        """Return the content of best.json."""
        return Best(
            goal=self.config.goal,
            latency_budget_ms=self.config.latency_budget,
            max_accuracy_drop=self.config.max_accuracy_drop,
            measured=self.host.started,
            version=self.host.version,
            is_quick=self.config.quick,
            fingerprint=Fingerprint.of_this_machine(),
            uses={use: tuple(self._entry(one) for one in ranked) for use, ranked in self.ranked.items()},
            skipped=tuple((one.what, one.reason[:2000]) for one in self.skipped),
        )

    def winner(self, use: Use) -> Ranked:
        """Return the best result of a use.

        Raises:
            VerificationError: none holds the limits; the text names the nearest one.
        """
        ranked = self.ranked[use]
        if ranked[0].is_usable:
            return ranked[0]
        listed = "".join(f"\n  {one.result.candidate.name}: {one.verdict}" for one in ranked)
        raise VerificationError(
            f"nothing in {self.folder} holds the limits on this machine with {USES[use]}:{listed}\n"
            "Fix: a larger --latency-budget or --max-accuracy-drop, or other artifacts"
        )

    def share_of_roof(self, one: Ranked) -> float | None:
        """Return images a second / what the machine's roofs allow, at the best batch; None: not known."""
        result = one.result
        work = self.works.get(result.artifact.path.name)
        roof = self.roofs.get(result.candidate.threads or 0)
        if work is None or roof is None:
            return None
        batch = result.offline.batch
        return result.offline.by_batch[batch].per_s / work.attainable_per_s(batch, roof)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON. Folders are left out."""
        return {
            "format": FORMAT,
            "is_mlperf": False,
            "config": self.config.model_dump(mode="json"),
            "seconds": round(self.seconds, 1),
            "left_out": list(self.left_out),
            "cores": self.cores,
            "host": self.host.to_dict(),
            "uses": {use: [self._in_full(one) for one in ranked] for use, ranked in self.ranked.items()},
            "cold_start": {one.name: asdict(found) for one, found in self.cold.items()},
            "roofs": {str(threads): asdict(roof) for threads, roof in self.roofs.items()},
            "works": {name: asdict(work) for name, work in self.works.items()},
            "energy": {"source": self.meter.source or None, "why_not": self.meter.why_not or None},
            "server": None if self.server is None else _server_in_full(self.server),
            "skipped": [asdict(one) for one in self.skipped],
        }

    def _entry(self, one: Ranked) -> Entry:
        result, candidate = one.result, one.result.candidate
        batch = result.batch_within(self.config.latency_budget) or 1
        return Entry(
            file=candidate.path.name,
            sha256=result.artifact.sha256,
            device=candidate.device,
            threads=candidate.threads,
            spinning=candidate.spinning,
            engine=candidate.engine_text,
            batch=batch,
            p50_ms=round(result.single.latency_ms(50), 4),
            p99_ms=round(result.single.latency_ms(99), 4),
            per_s=round(result.offline.by_batch[batch].per_s, 2),
            is_stable=result.is_stable,
            is_usable=one.is_usable,
            verdict=one.verdict[:2000],
        )

    def _in_full(self, one: Ranked) -> dict[str, Any]:
        result = one.result
        return self._entry(one).model_dump(mode="json") | {
            "bytes": result.artifact.num_bytes,
            "accuracy": result.artifact.accuracy,
            "accuracy_drop": asdict(result.drop),
            "share_of_roof": self.share_of_roof(one),
            "joules_per_image": result.joules,
            "single": result.single.to_dict(),
            "offline": {batch: found.to_dict() for batch, found in result.offline.by_batch.items()},
            "offline_failure": result.offline.failure,
        }


def run_bench(
    folder: Path,
    config: BenchConfig,
    *,
    only: Collection[str] | None = None,
    on_message: OnMessage = lambda _: None,
) -> Outcome:
    """Measure every artifact of a folder on this machine. Writes nothing.

    Args:
        folder: with the artifacts of one model.
        config: goal, limits and how long to measure.
        only: names of the files to measure; None: all.
        on_message: called with a message before each step.

    Raises:
        ArtifactError: nothing in the folder can be measured.
        ConfigError: more threads than cores.
        EngineError: no engine runs here, or one failed while it was measured.
    """
    started = time.perf_counter()
    artifacts, skipped = read_folder(folder, only)
    cores = choose_threads(config.threads)
    on_message("this machine")
    host = Host.now()
    candidates, lacking = candidates_of(artifacts, host.environment, cores=cores, device=config.device)
    plans = BRIEF if config.quick else USUAL
    measuring = Measuring(config.goal, config.limits, plans, cores, on_message)
    cold, failing = measuring.cold_starts(candidates)
    skipped += [*lacking, *failing]
    runs = {(one.path, one.runtime) for one in cold}
    candidates = [one for one in candidates if (one.path, one.runtime) in runs]
    if not candidates:
        reasons = "".join(f"\n  {one.what}: {one.reason}" for one in skipped)
        raise EngineError(f"nothing in {folder} runs on this machine:{reasons}")
    drops = measuring.drops(artifacts, candidates)
    single = measuring.ranking("single", measuring.settings(candidates), artifacts, drops)
    # On one core, one worker with one thread is the same.
    workers = single if cores == 1 else measuring.ranking("workers", workers_of(candidates), artifacts, drops)
    server = measuring.server(workers[0])
    roofs = _roofs([one.result.candidate for one in (*single, *workers)], on_message) if plans.has_roofs else {}
    return Outcome(
        folder,
        config,
        host.ended(),
        cores,
        {"single": single, "workers": workers},
        skipped,
        cold,
        _works([one for one in artifacts if any(one.path == path for path, _ in runs)]),
        roofs,
        server,
        measuring.meter,
        plans.left_out(USUAL),
        time.perf_counter() - started,
    )


def _roofs(candidates: Sequence[Candidate], on_message: OnMessage) -> dict[int, Roof]:
    on_message("rates of this machine")
    return {number: measure_roof(number) for number in sorted({one.threads for one in candidates if one.threads})}


def _works(artifacts: Sequence[Artifact]) -> dict[str, GraphWork]:
    found = {one.path.name: graph_work(one.path.read_bytes()) for one in artifacts if one.kind != PLAN}
    return {name: work for name, work in found.items() if work is not None}


def _server_in_full(server: Server) -> dict[str, Any]:
    loads = [
        {
            "rate": load.rate,
            "holds": load.holds(server.limit_ms),
            "num_planned": load.num_planned,
            "num_served": len(load.latencies_ms),
        }
        for load in server.loads
    ]
    return {"rate": server.rate, "p99_limit_ms": server.limit_ms, "loads": loads}
