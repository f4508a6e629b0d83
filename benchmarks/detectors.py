"""Measure face detectors on real clips: time against cv2.FaceDetectorYN, recall by face size, Haar against YuNet.

All variants alternate frame by frame, with the same number of threads. Ratios are computed per pair, from CPU time if
there is one thread, so waiting for other work on the machine does not count. The reference for recall is YuNet at full
size with a score above 0.6, which finds every face in these clips and nothing else (checked by eye). The smallest face
size is measured on shrunk frames: recall by the longer side of the reference's box in the shrunk frame.

    python benchmarks/detectors.py
    python benchmarks/detectors.py --yunet face_detection_yunet_2026may.onnx --clip a.gif --clip b.gif
"""

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from harness.clips import clips_option, iou, read_clip
from harness.comparing import Measure, exact_measure, noted_measure, share_measure
from harness.measuring import environment, markdown_table, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray

from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.detectors.haar import HaarFinder
from fer_deploy.detectors.search import FaceSearch
from fer_deploy.detectors.yunet import YuNetFinder, open_yunet
from fer_deploy.engines.network import Network

Picture = NDArray[np.uint8]
Row = dict[str, Any]
FIX = "give --yunet the file of the OpenCV Zoo"
SHRINKS = (1.0, 0.7, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.17, 0.15, 0.13)
SIZES = (8, 12, 14, 16, 18, 20, 24, 30, 40, 60, 100)
SAME_FACE_IOU = 0.3
IN_ROUNDS = "in rounds"
"""Name of the ratios' medians in each round; the table has one over all pairs."""


def seconds_in_turn(
    calls: dict[str, Callable[[Picture], object]], frames: Sequence[Picture], *, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds of each call on each frame of each round, alternating A B A B; the first round is dropped."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for frame in frames:
            for name, call in calls.items():
                started = clock()
                call(frame)
                if number:
                    seconds[name].append(clock() - started)
    return seconds


def measure_speed(yunet: Path, frames: Sequence[Picture], *, rounds: int, threads: int) -> Row:
    """Return milliseconds of both YuNets and of the search at its chosen resolution, and the median ratios."""
    cv2.setNumThreads(threads)
    height, width = frames[0].shape[:2]
    finder = YuNetFinder(open_yunet(yunet, fix=FIX, threads=threads), min_score=0.6)
    opencv = cv2.FaceDetectorYN.create(str(yunet), "", (width, height), 0.6, 0.3, 5000)
    clock = time.thread_time if threads == 1 else time.perf_counter
    calls: dict[str, Callable[[Picture], object]] = {
        "ours": finder.find,
        "cv2": opencv.detect,
        "search": FaceSearch(finder).detect,
    }
    seconds = seconds_in_turn(calls, frames, rounds=rounds, clock=clock)
    ratios = {name: [c / o for c, o in zip(seconds["cv2"], seconds[name], strict=True)] for name in ("ours", "search")}
    return {
        "frame": f"{width}x{height}",
        "threads": threads,
        "clock": "CPU" if threads == 1 else "wall",
        **{f"{name} ms": 1e3 * statistics.median(values) for name, values in seconds.items()},
        **{f"{name} least ms": 1e3 * min(values) for name, values in seconds.items()},
        **{f"cv2 / {name}": statistics.median(values) for name, values in ratios.items()},
        IN_ROUNDS: {
            f"cv2 / {name}": [statistics.median(part) for part in np.array_split(values, rounds)]
            for name, values in ratios.items()
        },
    }


def hits(reference: FoundFaces, found: FoundFaces, scale: float) -> tuple[list[bool], int]:
    """Return which reference faces were found in the frame shrunk by `scale`, and the number of false faces."""
    boxes = found.boxes_xyxy / scale
    overlaps = [[iou(a, b) > SAME_FACE_IOU for b in boxes] for a in reference.boxes_xyxy]
    found_any = [any(row) for row in overlaps]
    return found_any, sum(not any(row[i] for row in overlaps) for i in range(len(boxes)))


def measure_sizes(network: Network, frames: Sequence[Picture], references: Sequence[FoundFaces]) -> list[Row]:
    """Return YuNet's recall by the longer side of the face in pixels of the shrunk frame."""
    finder = YuNetFinder(network)
    sides: list[float] = []
    found: list[bool] = []
    for scale in SHRINKS:
        for frame, reference in zip(frames, references, strict=True):
            small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            found += hits(reference, finder.find(np.asarray(small, dtype=np.uint8)), scale)[0]
            sides += ((reference.boxes_xyxy[:, 2:] - reference.boxes_xyxy[:, :2]).max(axis=1) * scale).tolist()
    side, is_found = np.array(sides), np.array(found)
    rows = []
    for low, high in pairwise(SIZES):
        inside = (side >= low) & (side < high)
        if inside.any():
            rows.append(
                {"pixels": f"{low}-{high}", "faces": int(inside.sum()), "recall": float(is_found[inside].mean())}
            )
    return rows


def measure_haar(frames: Sequence[Picture], references: Sequence[FoundFaces]) -> list[Row]:
    """Return recall, false faces per frame and CPU milliseconds of Haar before and after tuning."""
    cv2.setNumThreads(1)
    variants = {
        "OpenCV's usual": HaarFinder(scale_factor=1.1, min_neighbors=5, equalized=False),
        "equalized": HaarFinder(scale_factor=1.1, min_neighbors=5),
        "equalized, 3 neighbours": HaarFinder(scale_factor=1.1),
        "ours: equalized, 3 neighbours, step 1.2": HaarFinder(),
        "ours at 3/4 of the resolution": HaarFinder(smallest_face=30),
    }
    rows = []
    for name, finder in variants.items():
        scale = finder.smallest_face / 40
        found, false, seconds = [], 0, 0.0
        for frame, reference in zip(frames, references, strict=True):
            started = time.thread_time()
            picture = frame if scale == 1 else cv2.resize(frame, None, fx=scale, fy=scale)
            faces = finder.find(np.asarray(picture, dtype=np.uint8))
            seconds += time.thread_time() - started
            hit, num_false = hits(reference, faces, scale)
            found += hit
            false += num_false
        rows.append(
            {
                "Haar": name,
                "recall": float(np.mean(found)),
                "false faces a frame": false / len(frames),
                "CPU ms": 1e3 * seconds / len(frames),
            }
        )
    return rows


def as_markdown(result: Row) -> str:
    """Return the report as Markdown."""
    lines = ["# Face detectors", "", f"`{result['environment']['command']}`, {result['environment']['hardware']}", ""]
    for title in ("speed", "YuNet by size of the face", "Haar"):
        for clip, rows in result[title].items():
            shown = [{name: value for name, value in row.items() if name != IN_ROUNDS} for row in rows]
            lines += [f"## {title}, {clip}", "", *markdown_table(shown, digits=3), ""]
    return "\n".join(lines)


def measures_of(result: Row) -> list[Measure]:
    """Return what --compare compares: the ratios to cv2.FaceDetectorYN, and recall."""
    found = []
    for clip, rows in result["speed"].items():
        for row in rows:
            for ratio in ("cv2 / ours", "cv2 / search"):
                name, rounds = f"{clip}, {row['threads']} threads: {ratio}", row.get(IN_ROUNDS, {}).get(ratio)
                found.append(noted_measure(name, row[ratio], rounds, better="higher", is_ratio=True))
    for clip, rows in result["YuNet by size of the face"].items():
        found += [
            share_measure(f"{clip}, YuNet, {row['pixels']} pixels: recall", row["recall"], row["faces"]) for row in rows
        ]
    for clip, rows in result["Haar"].items():
        found += [exact_measure(f"{clip}, {row['Haar']}: recall", row["recall"], better="higher") for row in rows]
    return found


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


@click.command()
@yunet_option
@clips_option
@click.option("--rounds", default=5, show_default=True, help="Rounds of the timing.")
@click.option("--every", default=1, show_default=True, help="Use every N-th frame.")
@output_options(report)
def main(yunet: Path, clips: tuple[Path, ...], rounds: int, every: int, output: Output) -> None:
    """Measure speed and agreement of the detectors."""
    device = torch.device("cpu")
    result: Row = {"environment": environment(device), "speed": {}, "YuNet by size of the face": {}, "Haar": {}}
    network = open_yunet(yunet, fix=FIX)
    for clip in clips:
        frames = list(read_clip(clip))[::every]
        result["speed"][clip.name] = [
            measure_speed(yunet, frames, rounds=rounds, threads=threads)
            for threads in sorted({1, torch.get_num_threads()})
        ]
        cv2.setNumThreads(1)
        references = [YuNetFinder(network, min_score=0.6).find(frame) for frame in frames]
        result["YuNet by size of the face"][clip.name] = measure_sizes(network, frames, references)
        result["Haar"][clip.name] = measure_haar(frames, references)
    output.write("detectors", device, result)


if __name__ == "__main__":
    main()
