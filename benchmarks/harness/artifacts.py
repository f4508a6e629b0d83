"""Engines of latency.py: PyTorch eager and compiled, and every artifact of a folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.engines.onnxruntime.engine import OnnxRuntimeEngine
from fer_deploy.errors import FerDeployError
from fer_deploy.export.checkpoint import load_checkpoint
from fer_deploy.export.verify.torch_engine import DeployedGraph, TorchEngine
from fer_deploy.spec import InputSpec

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
EAGER = "PyTorch eager"
VARIANTS = ("fp32", "fp16", "int8-cpu", "int8")


@dataclass
class Candidate:
    """One engine of one model; if it cannot be created, `run` is None and `failure` is the reason."""

    model: str
    engine: str
    image: InputSpec | None = None
    file: str = "-"
    num_bytes: int = 0
    run: Run | None = None
    failure: str | None = None
    path: Path | None = None
    settings: dict[str, str] = field(default_factory=dict)


def compiled_run(checkpoint: Path, device: torch.device) -> Run:
    """Return the model with torch.compile, compiled for each batch size."""
    loaded = load_checkpoint(checkpoint)
    model, spec = loaded.model, loaded.spec
    graph = torch.compile(DeployedGraph(model, spec).to(device).eval(), dynamic=False)

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            faces = torch.from_numpy(np.require(images, requirements="W")).to(device)
            return np.asarray(graph(faces).cpu().numpy(), dtype=np.float32)

    return run


def torch_candidates(checkpoint: Path, device: torch.device, *, compiled: bool) -> Iterator[Candidate]:
    """Yield PyTorch eager, the reference, and torch.compile; the report names a failure of the compiler."""
    engine = TorchEngine.open(checkpoint, device="cuda" if device.type == "cuda" else "cpu")
    size = checkpoint.stat().st_size
    yield Candidate(engine.spec.name, EAGER, engine.spec.input, checkpoint.name, size, engine.infer)
    if not compiled:
        return
    candidate = Candidate(engine.spec.name, "torch.compile", engine.spec.input, checkpoint.name, size)
    try:
        run = compiled_run(checkpoint, device)
        run(np.zeros((1, 1, engine.spec.input.height, engine.spec.input.width), dtype=np.uint8))
        candidate.run = run
    except Exception as err:  # noqa: BLE001 - the compiler raises any type; the report shows it
        candidate.failure = f"{type(err).__name__}: {str(err).strip().splitlines()[0][:200]}"
    yield candidate


def variant_of(path: Path) -> str:
    """Return what follows the model's name: fp32, fp16, int8 or int8-cpu."""
    return next((name for name in VARIANTS if path.stem.endswith(f"-{name}")), path.stem)


def openers(path: Path, device: str, *, threads: int, max_batch: int) -> dict[str, Callable[[], Engine]]:
    """Return openers of a file by engine name: on CUDA, ONNX with and without a CUDA graph; {}: not on this device."""
    variant = variant_of(path)
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
    place: Path, device: str, *, threads: int, max_batch: int, stack: ExitStack
) -> Iterator[Candidate]:
    """Yield the candidates of a file, or of a folder's ONNX files and plans, on this device; `stack` closes them."""
    for path in [place] if place.is_file() else sorted(place.glob("*.onnx")) + sorted(place.glob("*.plan")):
        model = path.stem.removesuffix(f"-{variant_of(path)}")
        for name, opener in openers(path, device, threads=threads, max_batch=max_batch).items():
            candidate = Candidate(model, name, file=path.name, num_bytes=path.stat().st_size, path=path)
            try:
                engine = stack.enter_context(opener())
                candidate.model, candidate.image, candidate.run = engine.spec.name, engine.spec.input, engine.infer
                candidate.settings = {**engine.settings, "description": engine.description}
            except FerDeployError as err:
                candidate.failure = str(err)
            yield candidate
