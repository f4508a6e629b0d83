"""Let many cameras share a Triton server: batches as the server sees them, latency, losses, and a server that dies.

Boxes are processes of the live loop; each decodes and detects for its share of the cameras. The same frames are
analyzed three times: with the model in every box, with the model on the server, and with a server that is killed in
the middle and started again. Frames arrive by the clock, as in cameras.py. Server and boxes run on this machine, so
they share its cores; boxes of their own leave all cores of the server to the model.

The server is tritonserver out of the wheel nvidia-pytriton, installed once into a folder, with a Python backend in
place of its ONNX Runtime backend. With --server a running one is asked, and none is killed.

    python benchmarks/cameras_on_triton.py
    python benchmarks/cameras_on_triton.py --server gpu-box:8001 --served senet-ferplus-fp16-onnx --cameras 64 --boxes 4
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import torch
from harness.apart import run_apart
from harness.clips import clips_option
from harness.comparing import Measure
from harness.machine import machine_lines
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.cameras_on_triton_report import as_markdown
from live.triton_server import TritonServer, server_files_option, server_of
from rich.console import Console
from tritonclient.grpc import InferenceServerClient

from fer_deploy.engines import bundled_model_for
from fer_deploy.engines.threads import available_cores

IN_BOX, ON_TRITON, KILLED = "model in each box", "model on Triton", "server killed and restarted"
Numbers = dict[str, Any]
_console = Console(stderr=True)
_there = click.Path(path_type=Path, exists=True)


def server_statistics(address: str, model: str) -> Numbers:
    """Return what a server counted since it started: "faces", "batches", "sizes" (batches by faces), "queue_s"."""
    with InferenceServerClient(address) as client:
        (told,) = client.get_inference_statistics(model).model_stats
    return {
        "faces": int(told.inference_count),
        "batches": int(told.execution_count),
        "requests": int(told.inference_stats.success.count),
        "queue_s": told.inference_stats.queue.ns / 1e9,
        "compute_s": told.inference_stats.compute_infer.ns / 1e9,
        "sizes": {int(row.batch_size): int(row.compute_infer.count) for row in told.batch_stats},
    }


def since(before: Numbers, after: Numbers) -> Numbers:
    """Return what was counted between two `server_statistics`."""
    sizes = {size: num - before["sizes"].get(size, 0) for size, num in after["sizes"].items()}
    numbers: Numbers = {name: after[name] - before[name] for name in after if name != "sizes"}
    return numbers | {"sizes": {size: num for size, num in sizes.items() if num}}


def together(boxes: list[Numbers]) -> Numbers:
    """Return the result of all boxes; latency is that of the worst one."""
    worst = max(boxes, key=lambda box: float(box["p99_ms"] or 0))
    served = [num for box in boxes for num in box["served"]]
    return {
        "due": sum(box["due"] for box in boxes),
        "dropped": sum(box["dropped"] for box in boxes),
        "fair_share": min(served) / max(served) if any(served) else 0.0,
        "p50_ms": worst["p50_ms"],
        "p99_ms": worst["p99_ms"],
        "max_ms": max((box["max_ms"] for box in boxes if box["max_ms"]), default=None),
        "longest_gap_s": max(box["longest_gap_s"] for box in boxes),
        # A camera went on if one of its frames of the last second has a result.
        "cameras_at_end": sum(last >= box["num_frames"] - box["fps"] for box in boxes for last in box["last_frames"]),
        "boxes": boxes,
    }


def run_boxes(request: Numbers, *, cameras: int, boxes: int) -> Numbers:
    """Run the cameras, spread over boxes, to their end."""
    shares = [cameras // boxes + (box < cameras % boxes) for box in range(boxes)]
    requests = [{**request, "kind": "cameras", "cameras": share} for share in shares if share]
    with ThreadPoolExecutor(len(requests)) as pool:
        return together(list(pool.map(lambda one: run_apart("live.camera_load", one), requests)))


def run_with_a_death(request: Numbers, server: TritonServer, model: str, *, cameras: int, boxes: int) -> Numbers:
    """Run the cameras, and kill the server a third into the time that counts; start it again at once."""
    address = server.address(model).removeprefix("triton://").partition("/")[0]
    before = server_statistics(address, model)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_boxes, request, cameras=cameras, boxes=boxes)
        while server_statistics(address, model)["faces"] == before["faces"] and not running.done():
            time.sleep(0.2)
        time.sleep(request["warm_up_s"] + request["seconds"] / 3)
        started = time.monotonic()
        server.kill()
        server.start()
        away_s = time.monotonic() - started
        found = running.result()
    return found | {"away_s": away_s, "server": server_statistics(address, model)}


def measure(request: Numbers, address: str, model: str, server: TritonServer | None, **share: int) -> list[Numbers]:
    """Return the rows of one clip and rate."""
    served = request | {"engine": f"triton://{address}/{model}"}
    rows = [{"kind": IN_BOX, **run_boxes(request, **share)}]
    _tell(rows[-1])
    before = server_statistics(address, model)
    found = run_boxes(served, **share)
    rows.append({"kind": ON_TRITON, **found, "server": since(before, server_statistics(address, model))})
    _tell(rows[-1])
    if server is not None:
        rows.append({"kind": KILLED, **run_with_a_death(served, server, model, **share)})
        _tell(rows[-1])
    return rows


def _tell(row: Numbers) -> None:
    p99 = "no result" if row["p99_ms"] is None else f"p99 {row['p99_ms']:.0f} ms"
    _console.print(f"{row['kind']}: {p99}, {row['dropped']} of {row['due']} frames without a result")


def measures_of(rows: list[Numbers]) -> list[Measure]:
    """Return what --compare compares: the share of frames with a result, which has no bounds."""
    return [
        Measure(
            f"{row['clip']} at {row['fps']:g} frames/s, {row['kind']}: share of frames with a result",
            1 - row["dropped"] / row["due"],
            better="higher",
        )
        for row in rows
    ]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    rows = result["results"]
    text = as_markdown(rows, result["environment"], machine_lines(result.get("host")))
    return Report(text, measures_of(rows), names_machine=True)


@click.command()
@clips_option
@yunet_option
@click.option("--engine", type=_there, help="The model in the boxes and on the server.  [default: the bundled one]")
@click.option("--server", metavar="HOST:PORT", help="A running server's gRPC port.  [default: one is started]")
@click.option("--served", metavar="MODEL", help="With --server: the model's name there.")
@server_files_option
@click.option("--cameras", default=16, show_default=True)
@click.option("--boxes", default=2, show_default=True, help="Processes that share the cameras.")
@click.option("--fps", "rates", multiple=True, type=float, default=(2.0, 5.0), show_default=True, help="Repeatable.")
@click.option("--detect-every", default="auto", show_default=True, help="As for fer-deploy live.")
@click.option("--workers", type=int, help="Threads of a box that analyze.  [default: one a core]")
@click.option("--queue-delay-us", default=5000, show_default=True, help="How long the server waits for more faces.")
@click.option("--seconds", default=20.0, show_default=True, help="Length of each run, after the warm-up.")
@click.option("--warm-up-s", default=3.0, show_default=True, help="Its frames do not count.")
@output_options(report)
def main(
    clips: tuple[Path, ...],
    yunet: Path,
    engine: Path | None,
    server: str | None,
    served: str | None,
    server_files: Path,
    rates: tuple[float, ...],
    output: Output,
    **wanted: Any,
) -> None:
    """Let many cameras share a Triton server, which is killed once."""
    if (server is None) != (served is None):
        raise click.UsageError("--server and --served belong together. Fix: both, or neither")
    model = engine or bundled_model_for("cpu")
    share = {"cameras": wanted["cameras"], "boxes": wanted["boxes"]}
    every = wanted["detect_every"]
    request = {
        "detect_every": every if every == "auto" else int(every),
        "jpeg": True,
        "yunet": str(yunet),
        "engine": str(model),
        **{name: wanted[name] for name in ("seconds", "warm_up_s", "workers")},
    }
    rows: list[Numbers] = []

    def measure_all(address: str, name: str, own: TritonServer | None) -> None:
        for clip in clips:
            for fps in rates:
                told = {"clip": clip.name, "fps": fps}
                found = measure(request | {"clip": str(clip), "fps": fps}, address, name, own, **share)
                rows.extend(told | row for row in found)

    if server is not None and served is not None:
        measure_all(server, served, None)
    else:
        with server_of(model, server_files, queue_delay_us=wanted["queue_delay_us"]) as (own, name):
            measure_all(f"127.0.0.1:{own.grpc}", name, own)
    device = torch.device("cpu")
    env = environment(device) | {"cores": str(available_cores()), "yunet": yunet.name, "model": model.name}
    env |= {name: str(wanted[name]) for name in ("cameras", "boxes", "queue_delay_us")}
    output.write("cameras_on_triton", device, {"environment": env, "results": rows})


if __name__ == "__main__":
    main()
