"""Measure every artifact and PyTorch in one run: latency p50 / p90 / p99, throughput, and speedup with its interval.

    python benchmarks/latency.py --artifacts artifacts/senet-ferplus --checkpoint weights/senet-ferplus.safetensors

All engines of a model are measured in turn, a window each, until the last three windows of every engine agree within
10 %, at most ten; otherwise the row says "not stable". A pair is a window of an engine and the window of PyTorch eager
beside it, so other work on the machine affects both; the interval of the speedup is a bootstrap over the pairs. Every
engine has the same number of threads, and every call ends with the logits in the host's memory. With one face at a time
this is MLPerf's single stream, with larger batches its offline scenario; it is not MLPerf.

The share of the roof compares the rate with what the machine's matrix products (FP32) and copies allow, both measured
in the same run. INT8 and BF16 instructions can exceed it. On a CPU, and without --quick, each file's time is also split
by operator, by ONNX Runtime's profile. Accuracy: benchmarks/accuracy.py.

The physics: a VNNI instruction multiplies four times as many INT8 values as an AVX-512 instruction multiplies FP32
values. A GPU computes such a network faster than it is launched; a CUDA graph removes that launch time.
"""

import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from harness.artifacts import EAGER, Candidate, artifact_candidates, torch_candidates
from harness.comparing import Measure, median_measure
from harness.latency_report import as_markdown, write_chart
from harness.measuring import environment
from harness.reports import Report, Result
from harness.results import Output, output_options
from rich.console import Console

from fer_deploy.bench.agreement import drawn_images
from fer_deploy.bench.layers import measure_layers
from fer_deploy.bench.machine.energy import EnergyMeter
from fer_deploy.bench.machine.roofline import GraphWork, Roof, graph_work, measure_roof
from fer_deploy.bench.statistics import Interval, ratio_interval
from fer_deploy.bench.windows import QUICK, Measurement, Repeated, WindowPlan, measure_in_turn, speedup
from fer_deploy.engines.onnxruntime.session import ort
from fer_deploy.engines.threads import choose_threads
from fer_deploy.spec import InputSpec
from fer_train.amp import resolve_device

CPU_BATCHES, CUDA_BATCHES = "1,16", "1,2,4,8,16,32,64,128,256,512,1024"
_console = Console()


@dataclass(frozen=True)
class Roofs:
    """What this machine can compute and copy; None: not measured, as on a GPU."""

    roof: Roof | None

    def work_of(self, candidate: Candidate) -> GraphWork | None:
        """Return the work of a model for one face, from its FP32 graph; None: of another file."""
        if self.roof is None or candidate.path is None or not candidate.path.name.endswith("-fp32.onnx"):
            return None
        return graph_work(candidate.path.read_bytes())

    def share(self, work: GraphWork | None, batch: int, faces_per_s: float) -> float | None:
        """Return a rate as a share of the attainable one; None: unknown."""
        return None if work is None or self.roof is None else faces_per_s / work.attainable_per_s(batch, self.roof)


def measure(
    candidates: list[Candidate], batches: list[int], *, plan: WindowPlan, roofs: Roofs, meter: EnergyMeter
) -> list[dict[str, Any]]:
    """Return one result per candidate of one model; the first is the reference."""
    results = [_header(candidate) for candidate in candidates]
    ready = [(c, r) for c, r in zip(candidates, results, strict=True) if c.run is not None]
    image = ready[0][0].image
    assert image is not None  # PyTorch is open
    _add_agreement(ready, image)
    work = next((found for c, _ in ready if (found := roofs.work_of(c)) is not None), None)
    for batch in batches:
        images = drawn_images(image, batch)
        workloads = {c.engine: Repeated(partial(c.run, images), batch) for c, _ in ready if c.run is not None}
        found = measure_in_turn(workloads, plan)
        for candidate, result in ready:
            row = _latency(batch, found[candidate.engine], found[EAGER])
            joules = meter.joules_per_item(workloads[candidate.engine], plan.window_s)
            more = {"roof_share": roofs.share(work, batch, row["faces_per_s"]), "joules_per_face": joules}
            result.setdefault("latency", []).append(row | more)
    return results


def profiles(candidate: Candidate, batches: list[int], threads: int) -> list[dict[str, Any]]:
    """Return the time of a call by operator, for each batch; [] for what ONNX Runtime does not run."""
    if candidate.path is None or candidate.path.suffix != ".onnx" or candidate.engine.endswith("spinning"):
        return []
    found = [measure_layers(candidate.path, batch=n, device="cpu", threads=threads) for n in batches]
    return [
        {
            "batch": one.batch,
            "call_ms": one.call_ms,
            "shares": {part.operator: part.share for part in one.by_operator()},
        }
        for one in found
    ]


def _latency(batch: int, found: Measurement, reference: Measurement) -> dict[str, Any]:
    own, eager = ([window.cpu_s / window.num_items for window in one.windows] for one in (found, reference))
    return {
        "batch": batch,
        **{key: value for key, value in found.to_dict(with_samples=True).items() if key != "per_s"},
        "faces_per_s": found.per_s,
        "speedup": _bounds(speedup(found, reference, by="median_ms")),
        "cpu_speedup": _bounds(ratio_interval(eager, own)) if min(own) > 0 else None,
    }


def _bounds(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def measures_of(results: list[dict[str, Any]]) -> list[Measure]:
    """Return what --compare compares: the median latency, and the speedup against PyTorch eager."""
    found = []
    for result in results:
        for row in result.get("latency", []):
            name = f"{result['model']}, {result['engine']}, batch {row['batch']}"
            found.append(median_measure(f"{name}: p50 in ms", [_median(window) for window in row["windows_ms"]]))
            if result["engine"] != EAGER:
                value, low, high = row["speedup"]
                found.append(Measure(f"{name}: speedup", value, low, high, "higher", is_ratio=True))
    return found


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _header(candidate: Candidate) -> dict[str, Any]:
    result: dict[str, Any] = {
        "model": candidate.model,
        "engine": candidate.engine,
        "file": candidate.file,
        "bytes": candidate.num_bytes,
        "settings": candidate.settings,
    }
    return result if candidate.failure is None else {**result, "failure": candidate.failure}


def _add_agreement(ready: list[tuple[Candidate, dict[str, Any]]], image: InputSpec) -> None:
    """Add the share of drawn faces on which an engine names the same emotion as the first."""
    images = drawn_images(image)
    starts = range(0, len(images), 64)
    given = [np.concatenate([c.run(images[i : i + 64]) for i in starts]) for c, _ in ready if c.run is not None]
    for (_, result), got in zip(ready, given, strict=True):
        result["same_emotion"] = float((got.argmax(axis=1) == given[0].argmax(axis=1)).mean())


def gather(
    checkpoints: tuple[Path, ...],
    artifacts: tuple[Path, ...],
    device: torch.device,
    *,
    threads: int,
    max_batch: int,
    compiled: bool,
    stack: ExitStack,
) -> dict[str, list[Candidate]]:
    """Return the candidates of each model, PyTorch eager first."""
    by_model: dict[str, list[Candidate]] = {}
    for checkpoint in checkpoints:
        for candidate in torch_candidates(checkpoint, device, compiled=compiled):
            by_model.setdefault(candidate.model, []).append(candidate)
    for folder in artifacts:
        for candidate in artifact_candidates(folder, device.type, threads=threads, max_batch=max_batch, stack=stack):
            if candidate.model not in by_model:
                raise click.ClickException(
                    f"{folder / candidate.file} has no --checkpoint of {candidate.model} beside it"
                )
            by_model[candidate.model].append(candidate)
    return by_model


def report(result: Result) -> Report:
    """Return what the result file shows."""
    results = result["results"]
    chart = partial(write_chart, results, title=f"{result['hardware']}, {result['date']}")
    return Report(as_markdown(results, result), measures_of(results), chart)


@click.command()
@click.option("--checkpoint", "checkpoints", multiple=True, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--artifacts", multiple=True, required=True, type=click.Path(path_type=Path, exists=True), help="Folder or file."
)
@click.option("--batches", help=f"[default: {CPU_BATCHES} on a CPU, 1 to 1,024 on a GPU]")
@click.option("--quick", is_flag=True, help="Short windows, at most four: a look, in a tenth of the time.")
@click.option("--threads", type=int, help="Threads of every engine.  [default: physical cores]")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True)
@click.option("--device", default="auto", show_default=True)
@output_options(report)
def main(
    checkpoints: tuple[Path, ...],
    artifacts: tuple[Path, ...],
    batches: str | None,
    quick: bool,
    threads: int | None,
    compiled: bool,
    device: str,
    output: Output,
) -> None:
    """Measure every artifact and PyTorch."""
    target = resolve_device(device)
    num_threads = choose_threads(threads)
    torch.set_num_threads(num_threads)
    sizes = [int(b) for b in (batches or (CUDA_BATCHES if target.type == "cuda" else CPU_BATCHES)).split(",")]
    env = environment(target) | {
        "device": str(target),
        "threads": str(num_threads),
        "onnxruntime": ort.__version__,
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    roofs = Roofs(None if target.type == "cuda" else measure_roof(num_threads))
    plan = QUICK if quick else WindowPlan()
    meter = EnergyMeter.of_this_machine()
    env |= {"energy": meter.in_words}
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        by_model = gather(
            checkpoints, artifacts, target, threads=num_threads, max_batch=max(sizes), compiled=compiled, stack=stack
        )
        for model, candidates in by_model.items():
            _console.print(f"measuring {model}: {', '.join(c.engine for c in candidates)} ...", highlight=False)
            found = measure(candidates, sizes, plan=plan, roofs=roofs, meter=meter)
            if target.type == "cpu" and not quick:
                for candidate, result in zip(candidates, found, strict=True):
                    if "latency" in result:
                        result["profiles"] = profiles(candidate, sizes, num_threads)
            results += found
    roof = None if roofs.roof is None else asdict(roofs.roof)
    output.write("latency", target, {**env, "quick": quick, "roof": roof, "results": results})


if __name__ == "__main__":
    main()
