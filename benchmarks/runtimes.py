"""Measure our networks in ONNX Runtime and in OpenVINO beside each other, as the workers of the live loop run them.

A worker on each core, one thread a call; every worker has the same faces. The runtimes take turns, a window each, and a
pair is two windows beside each other, so other work on the machine affects both; the interval of a ratio is a bootstrap
over the pairs. YuNet is measured in the same way, on pictures of 480x288 pixels, one a call.

The physics: a CPU with AMX multiplies INT8 and bfloat16 in matrices of 16 rows. OpenVINO uses them for convolutions;
ONNX Runtime does not. bfloat16 changes the answers, so `fer-deploy` does not use it: these rows are for comparison.

    python benchmarks/runtimes.py
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import torch
from harness.comparing import Measure
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray

from fer_deploy.artifacts import bundled_model
from fer_deploy.bench.agreement import agreement_of, drawn_images, logits_of
from fer_deploy.bench.windows import Call, Measurement, Together, WindowPlan, measure_pairs, speedup
from fer_deploy.detectors.yunet import open_yunet
from fer_deploy.detectors.yunet_heads import merge_heads
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.engines.threads import available_cores
from fer_deploy.errors import EngineError
from fer_deploy.spec import Precision

REFERENCE: Final = "ONNX Runtime"
OPENVINO: Final = "OpenVINO"
BF16: Final = "OpenVINO, bfloat16"
PICTURE: Final = (288, 480)
"""Height and width of YuNet's pictures: multiples of 32, as it needs them."""
_there = click.Path(path_type=Path, exists=True)


@dataclass(frozen=True)
class Loaded:
    """A network in one runtime.

    Attributes:
        calls: a call for each worker.
        same: how far the answers equal those of ONNX Runtime, as text.
    """

    calls: Sequence[Call]
    same: str


def engines_of(model: Path, stack: ExitStack) -> dict[str, Engine]:
    """Return a model in each runtime, one thread a call; bfloat16 only where the CPU has it.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    found: dict[str, Engine] = {
        REFERENCE: open_engine(model, device="cpu", threads=1),
        OPENVINO: open_engine(model, device="openvino", threads=1),
    }
    from fer_deploy.engines.openvino.engine import OpenVinoEngine  # noqa: PLC0415 - it is installed, as it was opened

    if found[REFERENCE].spec.precision is not Precision.INT8:  # INT8 stays INT8
        try:
            found[BF16] = OpenVinoEngine.open(model, threads=1, bf16=True)
        except EngineError as err:
            click.echo(f"{model.name}: {err}", err=True)
    for engine in found.values():
        stack.enter_context(engine)
    return found


def loaded_engines(engines: dict[str, Engine], batch: int, workers: int) -> dict[str, Loaded]:
    """Return the calls of one batch size."""
    spec = engines[REFERENCE].spec.input
    faces, images = drawn_images(spec), drawn_images(spec, batch)
    wanted = logits_of(engines[REFERENCE], faces)
    return {
        name: Loaded([partial(engine.infer, images)] * workers, _same_emotions(logits_of(engine, faces), wanted))
        for name, engine in engines.items()
    }


def _same_emotions(logits: NDArray[np.float32], wanted: NDArray[np.float32]) -> str:
    return f"{agreement_of(logits, wanted):.1%} of emotions"


def loaded_yunets(yunet: Path, workers: int) -> dict[str, Loaded]:
    """Return YuNet in each runtime on a picture of noise; all have the same graph and sizes."""
    network = open_yunet(yunet, fix="give --yunet the file of the OpenCV Zoo")
    ((name, info),) = network.inputs.items()
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, *PICTURE)).astype(info.dtype)
    heads = network.run({name: picture})
    found = {REFERENCE: Loaded([partial(network.run, {name: picture})] * workers, "")}
    for title, precision in ((OPENVINO, "f32"), (BF16, "bf16")):
        runs = openvino_calls(merge_heads(yunet.read_bytes()), picture, precision, workers)
        if runs is None:
            continue
        given = runs[0]()
        largest = max(float(np.abs(given[head] - heads[head]).max()) for head in heads)
        found[title] = Loaded(runs, f"|Δ| at most {largest:.2g}")
    return found


def openvino_calls(
    content: bytes, picture: NDArray[Any], precision: str, workers: int
) -> list[Callable[[], dict[str, NDArray[np.float32]]]] | None:
    """Return a call for each worker of a network with this picture's size; None: the CPU lacks the precision."""
    from fer_deploy.engines.openvino.runtime import openvino  # noqa: PLC0415 - an extra

    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    model = core.read_model(content)
    model.reshape({model.inputs[0].get_any_name(): list(picture.shape)})
    options = {
        "NUM_STREAMS": workers,
        "INFERENCE_NUM_THREADS": workers,
        "INFERENCE_PRECISION_HINT": precision,
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(model, "CPU", options)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(request: Any) -> dict[str, NDArray[np.float32]]:
        request.infer([picture], share_inputs=True)
        return {name: np.array(request.get_output_tensor(place).data) for place, name in enumerate(names)}

    return [partial(run, compiled.create_infer_request()) for _ in range(workers)]


def rows_of(
    network: str, batch: int, loaded: dict[str, Loaded], plan: WindowPlan, pairs: int
) -> Iterator[dict[str, Any]]:
    """Measure one network at one batch size in turn, and yield a row for each runtime."""
    found = measure_pairs({name: Together(one.calls, items=batch) for name, one in loaded.items()}, pairs, plan)
    for name, one in loaded.items():
        yield {
            "network": network,
            "batch": batch,
            "runtime": name,
            "workers": len(one.calls),
            "same": one.same,
            **_numbers(found[name], found[REFERENCE], len(one.calls)),
        }


def _numbers(found: Measurement, reference: Measurement, workers: int) -> dict[str, Any]:
    ratio = speedup(found, reference, by="per_s")
    return {
        "stable": found.is_stable,
        "p50_ms": found.latency_ms(50),
        "p99_ms": found.latency_ms(99),
        "per_s": found.per_s,
        "per_s_worker": found.per_s / workers,
        "cpu_ms_per_item": found.cpu_ms_per_item,
        "ratio": [ratio.value, ratio.low, ratio.high],
    }


def as_markdown(result: Result) -> str:
    """Return the table as Markdown."""
    env = result["environment"]
    lines = [
        f"# ONNX Runtime and OpenVINO, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, ONNX Runtime {env['onnxruntime']}, OpenVINO {env['openvino']}.",
        "",
        f"    {env['command']}",
        "",
        "A worker on each core, one thread a call. Items: faces, or pictures of YuNet. Times ONNX Runtime: median over "
        "pairs of windows, with the 95 % interval of the bootstrap.",
        "",
        "| network | batch | runtime | times ONNX Runtime | items/s | items/s a worker | p50, ms | CPU ms an item | "
        "answers as ONNX Runtime's | stable |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["results"]:
        value, low, high = row["ratio"]
        lines.append(
            f"| {row['network']} | {row['batch']} | {row['runtime']} | {value:.2f}x [{low:.2f}, {high:.2f}] "
            f"| {row['per_s']:,.0f} | {row['per_s_worker']:,.0f} | {row['p50_ms']:.2f} | {row['cpu_ms_per_item']:.2f} "
            f"| {row['same'] or '-'} | {'yes' if row['stable'] else 'not stable'} |"
        )
    return "\n".join([*lines, ""])


def measures_of(rows: Sequence[dict[str, Any]]) -> list[Measure]:
    """Return what --compare compares: how many times as fast as ONNX Runtime OpenVINO is."""
    return [
        Measure(
            f"{row['network']}, batch {row['batch']}, {row['runtime']}: times ONNX Runtime",
            *row["ratio"],
            "higher",
            is_ratio=True,
        )
        for row in rows
        if row["runtime"] != REFERENCE
    ]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result["results"]))


@click.command()
@click.option(
    "--engine", "models", type=_there, multiple=True, help="Repeatable.  [default: the bundled INT8 and FP16 ones]"
)
@click.option("--batch", "batches", type=int, multiple=True, default=(1, 8, 32), show_default=True, help="Repeatable.")
@click.option("--pairs", default=15, show_default=True, help="Pairs of windows.")
@yunet_option
@output_options(report)
def main(models: tuple[Path, ...], batches: tuple[int, ...], pairs: int, yunet: Path, output: Output) -> None:
    """Compare the runtimes of a CPU."""
    models = models or tuple(bundled_model(precision, "ferplus") for precision in (Precision.INT8, Precision.FP16))
    workers, plan = available_cores(), WindowPlan()
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        for model in models:
            engines = engines_of(model, stack)
            for batch in batches:
                click.echo(f"{model.name}, batch {batch} ...")
                rows += rows_of(model.name, batch, loaded_engines(engines, batch, workers), plan, pairs)
    click.echo(f"{yunet.name} ...")
    rows += rows_of(yunet.name, 1, loaded_yunets(yunet, workers), plan, pairs)
    cpu = torch.device("cpu")
    output.write("runtimes", cpu, {"environment": environment(cpu) | versions(), "results": rows})


def versions() -> dict[str, str]:
    """Return the versions of both runtimes."""
    return {name: version(name) for name in ("onnxruntime", "openvino")}


if __name__ == "__main__":
    main()
