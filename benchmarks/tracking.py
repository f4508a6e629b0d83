"""Measure the effect of the settings in `PeopleConfig`: faces between detections, stable numbers, stable labels.

The truth is YuNet on every frame. Between two detections a face can stay at its position, keep its velocity, follow the
optical flow or, in a recording, be interpolated; errors are those in frames without detection. For the numbers, each
person is hidden for some time, from every possible start. The confidence thresholds are measured on labelled faces that
the network was not trained on, against the labels of the network's family: FER2013's, or the majority of FER+'s votes.

    python benchmarks/tracking.py --clip a.gif --clip b.gif --yunet yunet.onnx --data data/fer2013.csv \
        --ferplus data/fer2013new.csv
"""

import math
import statistics
import time
from collections.abc import Mapping
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any, Final, Literal

import click
import cv2
import numpy as np
import torch
from harness.clips import clips_option
from harness.comparing import Measure, exact_measure
from harness.measuring import environment, markdown_table, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.between_detections import METHODS, Clip, errors_between, known_clip

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.vision.postprocess import emotions_from_logits, probs_from_logits
from fer_deploy.vision.preprocess import CropConfig, images_from_faces
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.tracking.people import People, PeopleConfig
from fer_deploy.vision.types import Box, Detection, Emotion, TrackedFace
from fer_train.data import read_faces
from fer_train.data.consensus import own_faces
from fer_train.data.faces import Faces, labels_in_words

NOISE = 12.0
"""Standard deviation of a webcam's noise in a dim room, per color channel."""
_there = click.Path(path_type=Path, exists=True)


FIGURES: Final[Mapping[str, Literal["lower", "higher"]]] = {
    "center_mean": "lower",
    "iou_mean": "higher",
    "landmarks_mean": "lower",
    "share": "higher",
    "changes": "lower",
    "changes_noisy": "lower",
    "delay_s": "lower",
    "right_at_or_above": "higher",
    "see": "lower",
    "follow": "lower",
}
"""Columns that --compare compares, and what is better."""
SETTINGS: Final = (
    *("clip", "every", "method", "hidden_s", "reach", "smoothing_s", "hysteresis"),
    *("unsure_below", "sure_lead", "below"),
)
"""Columns that name a row."""
TIMES: Final = ("see", "follow")
"""Figures that the machine's speed changes."""


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
            took = (time.thread_time_ns() - started) / 1e3
            if detections:
                spent["follow" if index % 3 else "see"].append(took / len(detections))
    return {name: statistics.median(values) for name, values in spent.items()}


def hidden_for(clips: list[Clip], hidden_s: float, config: PeopleConfig, every: int) -> dict[str, Any]:
    """Return in how many runs a hidden person returns with the same number and all others keep theirs."""
    kept = total = 0
    for clip in clips:
        length = round(hidden_s * clip.fps)
        for person in {face.track_id for face in clip.truth[0]}:
            for start in range(every, len(clip.frames) - length - every + 1):
                kept += _all_keep_numbers(clip, person, range(start, start + length), config, every)
                total += 1
    about = {"every": every, "hidden_s": hidden_s, "reach": config.reach}
    return about | {"kept": kept, "total": total, "share": kept / total}


def _all_keep_numbers(clip: Clip, person: int, hidden: range, config: PeopleConfig, every: int) -> bool:
    people = People(config, ())
    numbers: dict[int, set[int]] = {}
    for index in range(0, len(clip.frames), every):
        shown = [face for face in clip.truth[index] if face.track_id != person or index not in hidden]
        found = people.see(clip.frames[index], [face.detection for face in shown], clip.time_s(index))
        for face, seen in zip(shown, found, strict=True):
            numbers.setdefault(face.track_id, set()).add(seen.track_id)
    return all(len(given) == 1 for given in numbers.values())


def emotions_of(clip: Clip, engine: Engine, noise: float) -> list[list[Emotion]]:
    """Return the network's emotions of each face of each frame; `noise` is camera noise in gray levels."""
    answers, rng = [], np.random.default_rng(0)
    for clean, faces in zip(clip.frames, clip.truth, strict=True):
        frame = np.clip(clean + rng.normal(0, noise, clean.shape), 0, 255).astype(np.uint8)
        images = images_from_faces(frame, [face.detection for face in faces], engine.spec.input, CropConfig())
        answers.append(
            emotions_from_logits(engine.infer(images), engine.spec.labels, temperature=engine.spec.temperature)
        )
    return answers


def label_changes(clips: list[Clip], emotions: list[list[list[Emotion]]], config: PeopleConfig) -> float:
    """Return the changes of the shown label per minute of a face: another emotion, or to or from "unsure"."""
    changes = seconds = 0.0
    for clip, answers in zip(clips, emotions, strict=True):
        people = People(config, next(emotion.probs.labels for said in answers for emotion in said))
        labels: dict[int, list[str]] = {}
        for index, (faces, said) in enumerate(zip(clip.truth, answers, strict=True)):
            for result in people.smooth(faces, said, clip.time_s(index)):
                labels.setdefault(result.face.track_id, []).append(result.shown_label)
        changes += sum(old != new for shown in labels.values() for old, new in pairwise(shown))
        seconds += sum(len(shown) for shown in labels.values()) / clip.fps
    return 60 * changes / seconds


def delay_s(config: PeopleConfig, prob: float = 0.7, fps: float = 30.0) -> float:
    """Return the delay of the shown label in seconds when a face changes from label a to label b with `prob`."""
    people, face = People(config, ("a", "b")), (TrackedFace(1, Detection(Box(0, 0, 9, 9))),)
    before, after = (
        Emotion("a", prob, Probabilities.from_dict({"a": prob, "b": 1 - prob})),
        Emotion("b", prob, Probabilities.from_dict({"a": 1 - prob, "b": prob})),
    )
    turn = round(10 * fps)
    for index in range(10 * turn):
        (result,) = people.smooth(face, [before if index < turn else after], index / fps)
        if result.shown_label == "b":
            return (index - turn) / fps
    return math.inf


def smoothing_table(clips: list[Clip], engine: Engine) -> list[dict[str, float]]:
    """Return label changes and delay for time constants and hystereses."""
    clean, noisy = ([emotions_of(clip, engine, noise) for clip in clips] for noise in (0.0, NOISE))
    rows = []
    for smoothing_s in (0.0, 0.25, 0.5, 1.0, 2.0):
        for hysteresis in (0.0, 0.1, 0.2):
            config = PeopleConfig(smoothing_s=smoothing_s, hysteresis=hysteresis)
            rows.append({"smoothing_s": smoothing_s, "hysteresis": hysteresis, **_shown(clips, clean, noisy, config)})
    return rows


def threshold_table(clips: list[Clip], engine: Engine) -> list[dict[str, float]]:
    """Return label changes and delay with a second threshold, for thresholds near the clips' probabilities."""
    clean, noisy = ([emotions_of(clip, engine, noise) for clip in clips] for noise in (0.0, NOISE))
    rows = []
    for unsure_below in (0.3, 0.4, 0.5, 0.6):
        for sure_lead in (0.0, 0.05, 0.1, 0.15, 0.2):
            config = PeopleConfig(unsure_below=unsure_below, sure_lead=sure_lead)
            about = {"unsure_below": unsure_below, "sure_lead": sure_lead}
            rows.append(about | _shown(clips, clean, noisy, config) | {"delay_s": delay_s(config, prob=0.9)})
    return rows


def _shown(
    clips: list[Clip], clean: list[list[list[Emotion]]], noisy: list[list[list[Emotion]]], config: PeopleConfig
) -> dict[str, float]:
    return {
        "changes": label_changes(clips, clean, config),
        "changes_noisy": label_changes(clips, noisy, config),
        "delay_s": delay_s(config),
    }


def sureness_table(faces: Faces, engine: Engine) -> list[dict[str, float]]:
    """Return, for confidence thresholds, the share of faces below them and the shares of right ones.

    Args:
        faces: with the labels of the engine's family.
        engine: the network.
    """
    batches = np.array_split(faces.images[:, None], math.ceil(len(faces) / 32))
    logits = np.concatenate([engine.infer(batch) for batch in batches])
    probs = probs_from_logits(logits / np.float32(engine.spec.temperature))
    right, confidence = probs.argmax(axis=1) == faces.labels, probs.max(axis=1)
    rows = []
    for low in np.arange(0.25, 0.75, 0.05).round(2).tolist():
        here, above = (confidence >= low - 0.05) & (confidence < low), confidence >= low
        rows.append(
            {
                "below": low,
                "share": float((confidence < low).mean()),
                "right_just_below": float(right[here].mean()) if here.any() else math.nan,
                "right_at_or_above": float(right[above].mean()) if above.any() else math.nan,
            }
        )
    return rows


def tables_of(clips: list[Clip], engine: Engine, faces: Faces | None) -> dict[str, list[dict[str, Any]]]:
    """Return all tables by title; without labelled faces, none of the confidence."""
    tables: dict[str, list[dict[str, Any]]] = {
        "Faces between detections: errors in face widths": [
            errors_between(clips, every, method) for every in (2, 3, 5) for method in METHODS
        ],
        "CPU microseconds a face": [{"clip": clip.name, **cpu_us_a_face(clip)} for clip in clips],
        "Hidden and back: runs in which everybody keeps one number": [
            hidden_for(clips, hidden_s, PeopleConfig(reach=reach), every)
            for every in (1, 3)
            for hidden_s in (0.5, 1.0, 1.5)
            for reach in (0.25, 0.5, 1.0, 2.0)
        ],
        "Changes of what is shown, per minute of a face, and delay of a change": smoothing_table(clips, engine),
        "The same with a second threshold for unsure": threshold_table(clips, engine),
    }
    if faces is not None:
        against = labels_in_words(faces.label_set, engine.spec.labels)
        tables[f"Confidence of the raw answer, PublicTest, {against}"] = sureness_table(faces, engine)
    return tables


def as_markdown(result: dict[str, Any]) -> str:
    """Return the tables and the command as Markdown."""
    about = result["environment"]
    head = f"# Tracking and smoothing, {about['hardware']}\n\n{about['date']}, Python {about['python']}."
    return "\n\n".join([head, f"    {about['command']}", *starmap(_table, result["tables"].items())]) + "\n"


def _table(title: str, rows: list[dict[str, Any]]) -> str:
    return "\n".join([f"## {title}", "", *markdown_table(rows, digits=3)])


def measures_of(result: dict[str, Any]) -> list[Measure]:
    """Return what --compare compares. Only the times have noise, which one run does not tell."""
    found = []
    for title, rows in result["tables"].items():
        for row in rows:
            about = [f"{key} {row[key]}" for key in SETTINGS if key in row]
            for figure, better in FIGURES.items():
                if figure in row:
                    name = f"{title}: {', '.join(about)}: {figure}"
                    is_time = figure in TIMES
                    make = Measure if is_time else exact_measure
                    found.append(make(name, row[figure], better=better))
    return found


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


@click.command()
@clips_option
@yunet_option
@click.option("--engine", "engine_path", type=_there, help="Network.  [default: the bundled one]")
@click.option("--data", type=_there, help="FER2013, for the confidence thresholds.")
@click.option("--ferplus", type=_there, help="fer2013new.csv, for those of a network of FER+'s votes.")
@output_options(report)
def main(
    clips: tuple[Path, ...],
    yunet: Path,
    engine_path: Path | None,
    data: Path | None,
    ferplus: Path | None,
    output: Output,
) -> None:
    """Measure tracking and smoothing on real clips."""
    cv2.setNumThreads(1)
    with open_engine(engine_path or bundled_model()) as engine:
        spec = engine.spec.model_dump()
        faces = None if data is None else own_faces(read_faces(data, ferplus=ferplus), "PublicTest", spec)
        tables = tables_of([known_clip(path, yunet) for path in clips], engine, faces)
    cpu = torch.device("cpu")
    output.write("tracking", cpu, {"environment": environment(cpu), "tables": tables})


if __name__ == "__main__":
    main()
