"""Compare two ways of giving faces to a Triton server on the same machine: bytes in gRPC, and system shared memory.

Both ways ask in turn, in pairs, so that other work on the machine affects both. The logits come back in gRPC: they are
small. Memory is registered once; each call copies its faces into it.

    python benchmarks/shared_memory.py
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import tritonclient.grpc as triton
from harness.comparing import Measure
from harness.machine import machine_lines
from harness.measuring import environment
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.triton_server import server_files_option, server_of
from numpy.typing import NDArray
from tritonclient.utils import shared_memory

from fer_deploy.bench.statistics import ratio_interval
from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.spec import OUTPUT_NAME

Call = Callable[[], NDArray[np.float32]]


@contextlib.contextmanager
def both_ways(address: str, model: str, name: str, images: NDArray[np.uint8]) -> Iterator[tuple[Call, Call]]:
    """Yield two calls that return the logits of the images: with bytes in gRPC, and with shared memory.

    Args:
        address: of the server, host and port.
        model: its name there.
        name: of its input.
        images: (N, 1, H, W) uint8.
    """
    key, num_bytes = f"/fer-{os.getpid()}-{len(images)}", images.nbytes
    outputs = [triton.InferRequestedOutput(OUTPUT_NAME)]
    with contextlib.ExitStack() as held:
        client = held.enter_context(triton.InferenceServerClient(address))
        region = shared_memory.create_shared_memory_region(key, key, num_bytes)
        held.callback(shared_memory.destroy_shared_memory_region, region)
        client.register_system_shared_memory(key, key, num_bytes)
        held.callback(client.unregister_system_shared_memory, key)

        def ask(given: Any) -> NDArray[np.float32]:
            return np.asarray(client.infer(model, [given], outputs=outputs).as_numpy(OUTPUT_NAME))

        def in_grpc() -> NDArray[np.float32]:
            given = triton.InferInput(name, list(images.shape), "UINT8")
            given.set_data_from_numpy(images)
            return ask(given)

        def in_memory() -> NDArray[np.float32]:
            given = triton.InferInput(name, list(images.shape), "UINT8")
            shared_memory.set_shared_memory_region(region, [images])
            given.set_shared_memory(key, num_bytes)
            return ask(given)

        yield in_grpc, in_memory


def compare(first: Call, second: Call, *, pairs: int) -> dict[str, Any]:
    """Return medians of both calls and of second / first over pairs, with its 95 % interval, and what it saves.

    The order of a pair alternates.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + 1):
        for which in (0, 1) if number % 2 else (1, 0):
            started = time.perf_counter()
            (first, second)[which]()
            if number:  # the first pair warms up
                seconds[which].append(time.perf_counter() - started)
    ratio = ratio_interval(seconds[1], seconds[0])
    return {
        "grpc_ms": 1e3 * statistics.median(seconds[0]),
        "shared_ms": 1e3 * statistics.median(seconds[1]),
        "saved_ms": 1e3 * statistics.median(a - b for a, b in zip(*seconds, strict=True)),
        "ratio": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "pairs": pairs,
    }


def as_markdown(rows: list[dict[str, Any]], env: dict[str, str], machine: list[str]) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# Faces to a Triton server on the same machine, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, model: {env['model']}.",
        "",
        f"    {env['command']}",
        "",
        "Time of a call with shared memory over that of one with bytes in gRPC: median over pairs, with its 95 % "
        "interval. Saved: median difference of a pair.",
        "",
        "| faces | kB | shared memory / gRPC | saved, ms | gRPC, ms | pairs |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['faces']} | {row['kilobytes']:.0f} | {row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f}) "
        f"| {row['saved_ms']:+.2f} | {row['grpc_ms']:.2f} | {row['pairs']} |"
        for row in rows
    ]
    return "\n".join([*lines, "", *machine, ""])


def measures_of(rows: list[dict[str, Any]]) -> list[Measure]:
    """Return what --compare compares: the ratios."""
    return [
        Measure(f"{row['faces']} faces: shared memory / gRPC", row["ratio"], row["low"], row["high"], is_ratio=True)
        for row in rows
    ]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    rows = result["results"]
    text = as_markdown(rows, result["environment"], machine_lines(result.get("host")))
    return Report(text, measures_of(rows), names_machine=True)


@click.command()
@click.option("--engine", type=click.Path(path_type=Path, exists=True), help="Model.  [default: the bundled one]")
@click.option("--batch", "batches", multiple=True, type=int, default=(1, 8, 64), show_default=True, help="Repeatable.")
@click.option("--pairs", default=100, show_default=True, help="Pairs of calls for each batch.")
@server_files_option
@output_options(report)
def main(engine: Path | None, batches: tuple[int, ...], pairs: int, server_files: Path, output: Output) -> None:
    """Compare bytes in gRPC with shared memory."""
    model, rows = engine or bundled_model_for("cpu"), []
    rng = np.random.default_rng(0)
    with server_of(model, server_files, queue_delay_us=0) as (server, name):
        with open_engine(server.address(name)) as served:
            image = served.spec.input
        for batch in batches:
            shape = (batch, image.channels, image.height, image.width)
            images = rng.integers(0, 256, shape, dtype=np.uint8)
            with both_ways(f"127.0.0.1:{server.grpc}", name, image.name, images) as (in_grpc, in_memory):
                np.testing.assert_array_equal(in_grpc(), in_memory())
                found = compare(in_grpc, in_memory, pairs=pairs)
            rows.append({"faces": batch, "kilobytes": images.nbytes / 1e3, **found})
    device = torch.device("cpu")
    env = environment(device) | {"model": model.name}
    output.write("shared_memory", device, {"environment": env, "results": rows})


if __name__ == "__main__":
    main()
