"""Measure every artifact and PyTorch in one run: size, accuracy, latency p50 / p90 / p99, throughput, speedup.

All engines of a model alternate, five calls each, so other work on the machine affects all of them; the speedup is
computed call by call. Every engine has the same number of threads, and every call ends with the logits in the host's
memory. The physics: a VNNI instruction multiplies four times as many INT8 values as an AVX-512 instruction multiplies
FP32 values. A GPU computes such a network faster than it is launched; a CUDA graph removes that launch time.

    python benchmarks/latency.py --artifacts artifacts/net --artifacts artifacts/senet \
        --checkpoint weights/net.safetensors --checkpoint weights/senet.safetensors --data data/fer2013.csv
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from harness.latency_report import as_markdown, write_chart
from harness.measuring import Sample, environment, samples_by_round, speedup_by_round
from harness.results import Output, output_options
from numpy.typing import NDArray
from rich.console import Console

from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.engines.onnxruntime.engine import OnnxRuntimeEngine
from fer_deploy.engines.onnxruntime.session import ort
from fer_deploy.engines.threads import choose_threads
from fer_deploy.errors import FerDeployError
from fer_deploy.export.checkpoint import load_checkpoint
from fer_deploy.export.verify.torch_engine import DeployedGraph, TorchEngine
from fer_train.amp import resolve_device
from fer_train.data import read_faces, take_split

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
EAGER = "PyTorch eager"
CPU_BATCHES, CUDA_BATCHES = "1,16", "1,2,4,8,16,32,64,128,256,512,1024"
_console = Console()
_there = click.Path(path_type=Path, exists=True)


@dataclass
class Candidate:
    """One engine of one model; if it cannot be created, `run` is None and `failure` is the reason."""

    model: str
    engine: str
    file: str = "-"
    num_bytes: int = 0
    run: Run | None = None
    failure: str | None = None
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledFaces:
    """Faces for accuracy: images (N, 1, H, W) uint8, labels (N,) int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def compiled_run(checkpoint: Path, device: torch.device) -> Run:
    """Return the model with torch.compile, compiled for each batch size."""
    loaded = load_checkpoint(checkpoint)
    model, spec = loaded.model, loaded.spec
    graph = torch.compile(DeployedGraph(model, spec).to(device).eval(), dynamic=False)

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(graph(torch.from_numpy(images).to(device)).cpu().numpy(), dtype=np.float32)

    return run


def torch_candidates(checkpoint: Path, device: torch.device, *, compiled: bool) -> Iterator[Candidate]:
    """Yield PyTorch eager, the reference, and torch.compile; the report names a failure of the compiler."""
    engine = TorchEngine.open(checkpoint, device="cuda" if device.type == "cuda" else "cpu")
    size = checkpoint.stat().st_size
    yield Candidate(engine.spec.architecture, EAGER, checkpoint.name, size, engine.infer)
    if not compiled:
        return
    candidate = Candidate(engine.spec.architecture, "torch.compile", checkpoint.name, size)
    try:
        run = compiled_run(checkpoint, device)
        run(np.zeros((1, 1, engine.spec.input.height, engine.spec.input.width), dtype=np.uint8))
        candidate.run = run
    except Exception as err:  # noqa: BLE001 - the compiler raises any type; the report shows it
        candidate.failure = f"{type(err).__name__}: {str(err).strip().splitlines()[0][:200]}"
    yield candidate


def openers(path: Path, device: str, *, threads: int, max_batch: int) -> dict[str, Callable[[], Engine]]:
    """Return openers of a file by engine name: on CUDA, ONNX with and without a CUDA graph; {}: not on this device."""
    variant = path.stem.partition("-")[2] or path.stem
    if device == "cpu":
        if path.suffix == ".plan":
            return {}
        on_cpu = partial(OnnxRuntimeEngine.open, path, device="cpu", threads=threads)
        return {f"ORT {variant}": on_cpu, f"ORT {variant}, spinning": partial(on_cpu, spinning=True)}
    if path.suffix == ".plan":
        return {f"TensorRT {variant}": partial(open_engine, path, device="cuda")}
    if variant == "int8-cpu":
        return {}
    on_cuda = partial(OnnxRuntimeEngine.open, path, device="cuda", max_batch=max_batch)
    return {
        f"ORT {variant}": partial(on_cuda, cuda_graph=False),
        f"ORT {variant}, CUDA graph": partial(on_cuda, cuda_graph=True),
    }


def artifact_candidates(
    folder: Path, device: str, *, threads: int, max_batch: int, stack: ExitStack
) -> Iterator[Candidate]:
    """Yield the candidates of a folder's ONNX files and plans on this device; `stack` closes the engines."""
    for path in sorted(folder.glob("*.onnx")) + sorted(folder.glob("*.plan")):
        for name, opener in openers(path, device, threads=threads, max_batch=max_batch).items():
            candidate = Candidate(path.stem.partition("-")[0], name, path.name, path.stat().st_size)
            try:
                engine = stack.enter_context(opener())
                candidate.model, candidate.run = engine.spec.architecture, engine.infer
                candidate.settings = {**engine.settings, "description": engine.description}
            except FerDeployError as err:
                candidate.failure = str(err)
            yield candidate


def generated_faces(num: int) -> NDArray[np.uint8]:
    """Return (num, 1, 48, 48) uint8 noise with one mean level per face; latency does not depend on the pixels."""
    generator = np.random.default_rng(0)
    level = generator.integers(40, 215, (num, 1, 1, 1))
    return (level + generator.integers(-40, 40, (num, 1, 48, 48))).astype(np.uint8)


def load_faces(data: Path | None, limit: int) -> LabelledFaces | None:
    """Return up to `limit` faces of PublicTest, spread evenly; 0: all. None without data."""
    if data is None:
        return None
    faces = take_split(read_faces(data), "PublicTest")
    chosen = np.unique(np.linspace(0, len(faces) - 1, limit or len(faces), dtype=np.int64))
    return LabelledFaces(faces.images[chosen][:, None], faces.labels[chosen])


def predictions(run: Run, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the argmax (N,) of each face, in batches of 64; the last one is padded to avoid another compilation."""
    padded = np.concatenate([images, images[:1].repeat(-len(images) % 64, axis=0)])
    parts = [run(padded[i : i + 64]).argmax(axis=1) for i in range(0, len(padded), 64)]
    return np.concatenate(parts)[: len(images)]


def measure(
    candidates: list[Candidate], batches: list[int], *, rounds: int, faces: LabelledFaces | None
) -> list[dict[str, Any]]:
    """Return one result per candidate of one model; the first is the reference."""
    results = [_header(candidate) for candidate in candidates]
    ready = [(c, r) for c, r in zip(candidates, results, strict=True) if c.run is not None]
    _add_accuracy(ready, faces)
    for batch in batches:
        images = generated_faces(batch)
        calls = {c.engine: partial(c.run, images) for c, _ in ready if c.run is not None}
        samples = samples_by_round(calls, rounds=rounds)
        for candidate, result in ready:
            result.setdefault("latency", []).append(_latency(batch, samples[candidate.engine], samples[EAGER]))
    return results


def _latency(batch: int, samples: list[Sample], reference: list[Sample]) -> dict[str, Any]:
    wall, cpu = [s.wall_ms for s in samples], [s.cpu_ms for s in samples]
    p50, p90, p99 = (float(value) for value in np.percentile(wall, (50, 90, 99)))
    return {
        "batch": batch,
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "min_ms": min(wall),
        "cpu_ms": median(cpu),
        "faces_per_s": 1e3 * batch / p50,
        "speedup": speedup_by_round([s.wall_ms for s in reference], wall),
        "cpu_speedup": speedup_by_round([s.cpu_ms for s in reference], cpu),
        "wall_ms": wall,
    }


def _header(candidate: Candidate) -> dict[str, Any]:
    result: dict[str, Any] = {
        "model": candidate.model,
        "engine": candidate.engine,
        "file": candidate.file,
        "bytes": candidate.num_bytes,
        "settings": candidate.settings,
    }
    return result if candidate.failure is None else {**result, "failure": candidate.failure}


def _add_accuracy(ready: list[tuple[Candidate, dict[str, Any]]], faces: LabelledFaces | None) -> None:
    """Add accuracy, change and agreement with the first candidate; on generated faces only the agreement."""
    images = generated_faces(256) if faces is None else faces.images
    given = [predictions(candidate.run, images) for candidate, _ in ready if candidate.run is not None]
    for (_, result), got in zip(ready, given, strict=True):
        result["same_emotion"] = float((got == given[0]).mean())
        if faces is not None:
            result["accuracy"] = float((got == faces.labels).mean())
            result["change"] = result["accuracy"] - float((given[0] == faces.labels).mean())


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


@click.command()
@click.option("--checkpoint", "checkpoints", multiple=True, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--artifacts", multiple=True, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="FER2013, for accuracy on PublicTest.")
@click.option("--faces", default=0, help="Number of faces for accuracy.  [default: all of PublicTest]")
@click.option("--batches", help=f"[default: {CPU_BATCHES} on a CPU, 1 to 1,024 on a GPU]")
@click.option("--rounds", default=10, show_default=True, help="Rounds of five timed calls of each engine and batch.")
@click.option("--threads", type=int, help="Threads of every engine.  [default: physical cores]")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True)
@click.option("--device", default="auto", show_default=True)
@output_options
def main(
    checkpoints: tuple[Path, ...],
    artifacts: tuple[Path, ...],
    data: Path | None,
    faces: int,
    batches: str | None,
    rounds: int,
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
    labelled = load_faces(data, faces)
    env = environment(target) | {
        "device": str(target),
        "threads": str(num_threads),
        "rounds": str(rounds),
        "onnxruntime": ort.__version__,
        "faces": str(0 if labelled is None else len(labelled.labels)),
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        by_model = gather(
            checkpoints, artifacts, target, threads=num_threads, max_batch=max(sizes), compiled=compiled, stack=stack
        )
        for model, candidates in by_model.items():
            _console.print(f"measuring {model}: {', '.join(c.engine for c in candidates)} ...", highlight=False)
            results += measure(candidates, sizes, rounds=rounds, faces=labelled)
    text = as_markdown(results, env)
    _console.print(text, markup=False, soft_wrap=True)
    chart = partial(write_chart, results, title=f"{env['hardware']}, {env['date']}")
    output.write("latency", target, {**env, "results": results}, text, chart)


if __name__ == "__main__":
    main()
