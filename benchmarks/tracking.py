"""Why the defaults of `PeopleConfig` are what they are: faces between detections, numbers kept, labels that hold still.

Truth is YuNet on every frame. Between two detections a face can stay where it was, keep its velocity, follow the optical
flow, or, in a recording, be interpolated; errors are those of the frames that no detector looked at. For the numbers,
each person in turn is hidden for a while, from every moment on. How sure the network must be is read from labelled
faces that it was not trained on.

    python benchmarks/tracking.py --clip a.gif --clip b.gif --yunet yunet.onnx --data data/fer2013.csv
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from _harness import environment, result_path, write_results
from rich.console import Console

from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.flavors import SHIPPED_MODEL
from fer_deploy.vision.interpolation import faces_between
from fer_deploy.vision.motion import Motion
from fer_deploy.vision.people import People, PeopleConfig
from fer_deploy.vision.postprocess import emotions_from_logits, probs_from_logits
from fer_deploy.vision.preprocess import CropConfig, images_from_faces
from fer_deploy.vision.types import Box, Detection, Emotion, TrackedFace
from fer_train.data import read_faces, take_split

Faces = tuple[TrackedFace, ...]
_console = Console()
_there = click.Path(path_type=Path, exists=True)


@dataclass
class Clip:
    """A recording; `truth[i]` are the faces of frame i with the numbers that tracking in every frame gives them."""

    name: str
    fps: float
    frames: list[np.ndarray]
    truth: list[Faces]

    def time_s(self, index: int) -> float:
        return index / self.fps


def read_clip(path: Path, yunet: Path) -> Clip:
    detector = build_detectors(DetectorConfig(detector="yunet", detector_model=yunet))()
    capture = cv2.VideoCapture(str(path))
    clip = Clip(path.name, capture.get(cv2.CAP_PROP_FPS), [], [])
    people = People(PeopleConfig(), ())
    while (read := capture.read())[0]:
        clip.truth.append(people.see(read[1], detector.detect(read[1]), clip.time_s(len(clip.frames))))
        clip.frames.append(read[1])
    capture.release()
    return clip


def stay(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection: faces stay where they were seen."""
    for index in range(len(clip.frames)):
        if index % every:
            yield index, clip.truth[index - index % every]


def keep_velocity(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection: faces move on as their filter expects."""
    motions: dict[int, Motion] = {}
    for index, faces in enumerate(clip.truth):
        for motion in motions.values():
            motion.advance(1 / clip.fps)
        if index % every == 0:
            for face in faces:
                motions.setdefault(face.track_id, Motion(center=center(face.detection.box))).correct(
                    center(face.detection.box)
                )
            seen = faces
        else:
            yield index, tuple(moved_to(face, motions[face.track_id].center) for face in seen)


def follow(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection, as the live loop sees them."""
    people = People(PeopleConfig(), ())
    for index, frame in enumerate(clip.frames):
        if index % every:
            yield index, people.follow(frame, clip.time_s(index))
        else:
            detections = [face.detection for face in clip.truth[index]]
            people.see(frame, detections, clip.time_s(index))


def interpolate(clip: Clip, every: int) -> Iterator[tuple[int, Faces]]:
    """Yield frames without detection between two with it, as the loop sees a recording."""
    for index in range(len(clip.frames) - len(clip.frames) % every):
        before, phase = index - index % every, index % every
        if phase and before + every < len(clip.frames):
            yield index, faces_between(clip.truth[before], clip.truth[before + every], phase / every)


METHODS: dict[str, Callable[[Clip, int], Iterator[tuple[int, Faces]]]] = {
    "stay": stay,
    "velocity": keep_velocity,
    "flow (`follow`)": follow,
    "interpolation (`between`)": interpolate,
}


def center(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def moved_to(face: TrackedFace, place: tuple[float, float]) -> TrackedFace:
    box, (x, y) = face.detection.box, place
    dx, dy = round(x - (box.x1 + box.x2) / 2), round(y - (box.y1 + box.y2) / 2)
    landmarks = tuple((px + dx, py + dy) for px, py in face.detection.landmarks)
    return TrackedFace(
        face.track_id, Detection(Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy), 1.0, landmarks)
    )


def iou(one: Box, other: Box) -> float:
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    shared = max(width, 0) * max(height, 0)
    areas = sum((box.x2 - box.x1) * (box.y2 - box.y1) for box in (one, other))
    return shared / (areas - shared)


def errors_between(clips: list[Clip], every: int, method: str) -> dict[str, Any]:
    off, overlap, landmarks = [], [], []
    for clip in clips:
        for index, faces in METHODS[method](clip, every):
            found = {face.track_id: face.detection for face in faces}
            for face in clip.truth[index]:
                truth, guess = face.detection, found[face.track_id]
                width = truth.box.x2 - truth.box.x1
                off.append(math.dist(center(truth.box), center(guess.box)) / width)
                overlap.append(iou(truth.box, guess.box))
                apart = np.subtract(truth.landmarks, guess.landmarks)
                landmarks.append(float(np.hypot(*apart.T).mean() / width))
    return {
        "every": every,
        "method": method,
        "center_mean": statistics.fmean(off),
        "center_p95": float(np.percentile(off, 95)),
        "center_max": max(off),
        "iou_mean": statistics.fmean(overlap),
        "iou_p5": float(np.percentile(overlap, 5)),
        "landmarks_mean": statistics.fmean(landmarks),
    }


def cpu_us_a_face(clip: Clip, rounds: int = 20) -> dict[str, float]:
    """Return the median CPU time of `see` and `follow`, of the calling thread, for one face in microseconds."""
    spent: dict[str, list[float]] = {"see": [], "follow": []}
    for _ in range(rounds):
        people = People(PeopleConfig(), ())
        for index, frame in enumerate(clip.frames):
            detections = [face.detection for face in clip.truth[index]]
            started = time.thread_time_ns()
            if index % 3:
                people.follow(frame, clip.time_s(index))
            else:
                people.see(frame, detections, clip.time_s(index))
            took = (time.thread_time_ns() - started) / 1e3 / len(detections)
            spent["follow" if index % 3 else "see"].append(took)
    return {name: statistics.median(values) for name, values in spent.items()}


def hidden_for(clips: list[Clip], hidden_s: float, config: PeopleConfig, every: int) -> dict[str, Any]:
    """Return in how many cases a person hidden for a while comes back under the same number, and all others keep theirs."""
    kept = total = 0
    for clip in clips:
        length = round(hidden_s * clip.fps)
        for person in {face.track_id for face in clip.truth[0]}:
            for start in range(every, len(clip.frames) - length - every + 1):
                kept += _all_keep_numbers(clip, person, range(start, start + length), config, every)
                total += 1
    return {"hidden_s": hidden_s, "keep_s": config.keep_s, "reach": config.reach, "every": every, "kept": kept, "total": total}  # fmt: skip


def _all_keep_numbers(clip: Clip, person: int, hidden: range, config: PeopleConfig, every: int) -> bool:
    people = People(config, ())
    numbers: dict[int, set[int]] = {}
    for index in range(0, len(clip.frames), every):
        shown = [face for face in clip.truth[index] if face.track_id != person or index not in hidden]
        found = people.see(clip.frames[index], [face.detection for face in shown], clip.time_s(index))
        for face, seen in zip(shown, found, strict=True):
            numbers.setdefault(face.track_id, set()).add(seen.track_id)
    return all(len(given) == 1 for given in numbers.values())


def emotions_of(clip: Clip, engine: Engine) -> list[list[Emotion]]:
    answers = []
    for frame, faces in zip(clip.frames, clip.truth, strict=True):
        images = images_from_faces(frame, [face.detection for face in faces], engine.spec.input, CropConfig())
        answers.append(emotions_from_logits(engine.infer(images), engine.spec.labels))
    return answers


def label_changes(clips: list[Clip], emotions: list[list[list[Emotion]]], config: PeopleConfig) -> float:
    """Return how often a shown label changes, per minute of a face."""
    changes = seconds = 0.0
    for clip, answers in zip(clips, emotions, strict=True):
        people = People(config, tuple(answers[0][0].probs))
        labels: dict[int, list[str]] = {}
        for index, (faces, said) in enumerate(zip(clip.truth, answers, strict=True)):
            for result in people.smooth(faces, said, clip.time_s(index)):
                labels.setdefault(result.face.track_id, []).append(result.smoothed.label)
        changes += sum(old != new for shown in labels.values() for old, new in pairwise(shown))
        seconds += sum(len(shown) for shown in labels.values()) / clip.fps
    return 60 * changes / seconds


def delay_s(config: PeopleConfig, fps: float = 30.0) -> float:
    """Return how long after a face turns from 70 % of one label to 70 % of another the shown label follows."""
    people, face = People(config, ("a", "b")), (TrackedFace(1, Detection(Box(0, 0, 9, 9))),)
    before, after = Emotion("a", 0.7, {"a": 0.7, "b": 0.3}), Emotion("b", 0.7, {"a": 0.3, "b": 0.7})
    turn = round(10 * fps)
    for index in range(10 * turn):
        (result,) = people.smooth(face, [before if index < turn else after], index / fps)
        if result.smoothed.label == "b":
            return (index - turn) / fps
    return math.inf


def smoothing_table(clips: list[Clip], engine: Engine) -> list[dict[str, float]]:
    emotions = [emotions_of(clip, engine) for clip in clips]
    rows = []
    for smoothing_s in (0.0, 0.25, 0.5, 1.0, 2.0):
        for hysteresis in (0.0, 0.05, 0.1, 0.2):
            config = PeopleConfig(smoothing_s=smoothing_s, hysteresis=hysteresis)
            changes = label_changes(clips, emotions, config)
            rows.append(
                {
                    "smoothing_s": smoothing_s,
                    "hysteresis": hysteresis,
                    "changes_a_minute": changes,
                    "delay_s": delay_s(config),
                }
            )
    return rows


def sureness_table(data: Path, engine: Engine) -> list[dict[str, float]]:
    """Return, for thresholds of confidence, how many faces of PublicTest lie below and how many of those are right."""
    faces = take_split(read_faces(data), "PublicTest")
    batches = np.array_split(faces.images[:, None], len(faces.images) // 32)
    probs = np.concatenate([probs_from_logits(engine.infer(batch)) for batch in batches])
    right, confidence = probs.argmax(axis=1) == faces.labels, probs.max(axis=1)
    rows = []
    for low in np.arange(0.25, 0.75, 0.05).round(2).tolist():
        here = (confidence >= low - 0.05) & (confidence < low)
        rows.append(
            {
                "below": low,
                "share": float((confidence < low).mean()),
                "right_just_below": float(right[here].mean()) if here.any() else math.nan,
                "right_at_or_above": float(right[confidence >= low].mean()),
            }
        )
    return rows


def as_markdown(result: dict[str, Any]) -> str:
    about = result["environment"]
    parts = [f"# Tracking and smoothing, {about['hardware']}\n\n{about['date']}, Python {about['python']}.\n\n    {about['command']}\n"]  # fmt: skip
    for title, rows in result["tables"].items():
        parts.append(f"## {title}\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}\n" + "".join(
            f"| {' | '.join(f'{value:.3f}' if isinstance(value, float) else str(value) for value in row.values())} |\n" for row in rows
        ))  # fmt: skip
    return "\n".join(parts)


@click.command()
@click.option("--clip", "clip_paths", type=_there, multiple=True, required=True, help="recording with faces; repeat")
@click.option("--yunet", type=_there, required=True, help="YuNet's .onnx")
@click.option("--engine", "engine_path", type=_there, help="network; none: the one that ships with the package")
@click.option("--data", type=_there, help="FER2013, for how sure is sure")
def main(clip_paths: tuple[Path, ...], yunet: Path, engine_path: Path | None, data: Path | None) -> None:
    """Measure tracking and smoothing on real clips."""
    cv2.setNumThreads(1)
    clips = [read_clip(path, yunet) for path in clip_paths]
    tables: dict[str, list[dict[str, Any]]] = {
        "Faces between detections: errors in face widths": [
            errors_between(clips, every, method) for every in (2, 3, 5) for method in METHODS
        ],
        "CPU microseconds a face": [{"clip": clip.name, **cpu_us_a_face(clip)} for clip in clips],
        "Hidden and back: runs in which everybody keeps one number": [
            hidden_for(clips, hidden_s, PeopleConfig(reach=reach), every)
            for every in (1, 3)
            for hidden_s in (0.25, 0.5, 1.0, 1.5)
            for reach in (0.5, 1.0, 1.5, 3.0)
        ],
    }
    with open_engine(engine_path or SHIPPED_MODEL) as engine:
        tables["Label changes, per minute of a face, and delay of a change"] = smoothing_table(clips, engine)
        if data is not None:
            tables["Confidence of the raw answer, PublicTest"] = sureness_table(data, engine)
    cpu = torch.device("cpu")
    result = {"environment": environment(cpu), "tables": tables}
    path = result_path("tracking", cpu)
    write_results(path, result, as_markdown(result))
    _console.print(path.read_text())


if __name__ == "__main__":
    main()
