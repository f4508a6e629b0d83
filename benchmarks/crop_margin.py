"""Measure which square around a detector's box is best for the classifier, and whether faces should be turned upright.

FER2013's faces were cut out by another detector than ours. This benchmark embeds each face in a larger picture (at
twice its size, with repeated edge pixels), finds it with YuNet and Haar, and cuts it out again. It reports the position
of the original square relative to the box, and the accuracy of the classifier on the new crops. For the turn, the
larger picture is rotated first. In real clips, whose people hardly change their expressions, a good crop gives few
label changes between frames. No face picture is written. A model is judged by the labels of its family: with FER+'s
votes, the default model is measured beside the one of FER2013's labels.

    python benchmarks/crop_margin.py --data fer2013.csv --ferplus fer2013new.csv --clip a.gif
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from harness.clips import WHERE_CLIPS_ARE, read_clip
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.crop_margin_report import as_markdown, measures_of
from numpy.typing import NDArray

from fer_deploy.artifacts import Family
from fer_deploy.detectors.finder import FaceFinder
from fer_deploy.detectors.haar import HaarFinder
from fer_deploy.detectors.search import FaceSearch
from fer_deploy.detectors.yunet import YuNetFinder, open_yunet
from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.vision.postprocess import probs_from_logits
from fer_deploy.vision.preprocess import CropConfig, images_from_faces
from fer_deploy.vision.types import Detection
from fer_train.data import Faces, read_faces
from fer_train.data.consensus import own_faces

ENLARGED, MARGIN = 96, 48
SCALES = (0.9, 1.0, 1.1, 1.15, 1.2, 1.3, 1.4)
SHIFTS = (-0.08, -0.04, 0.0, 0.04)
ROLLS = (-30, -20, -10, 0, 10, 20, 30)
NO_VOTES = (
    "the default model (--model ferplus) was not measured: it is judged by the majority of FER+'s taggers, and their "
    "votes were not given. Fix: --ferplus fer2013new.csv"
)
"""Note of a result without votes."""
Row = dict[str, Any]
_there = click.Path(path_type=Path, exists=True)


def embed(face: NDArray[np.uint8], roll: float = 0.0) -> NDArray[np.uint8]:
    """Embed a face (48, 48), enlarged and rotated clockwise by `roll` degrees, in a BGR picture (192, 192, 3)."""
    enlarged = cv2.resize(face, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
    around = cv2.copyMakeBorder(enlarged, *[MARGIN] * 4, cv2.BORDER_REPLICATE)
    if roll:
        side = ENLARGED + 2 * MARGIN
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -roll, 1.0)
        around = cv2.warpAffine(around, turn, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(around, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def find_one(search: FaceSearch, picture: NDArray[np.uint8]) -> Detection | None:
    """Return the largest face whose center is near that of the original square; None: not found."""
    found = [face for face in search.detect(picture) if _is_central(face)]
    return max(found, key=lambda face: face.box.x2 - face.box.x1, default=None)


def _is_central(face: Detection) -> bool:
    middle = ((face.box.x1 + face.box.x2) / 2, (face.box.y1 + face.box.y2) / 2)
    return all(abs(value - MARGIN - ENLARGED / 2) < ENLARGED / 4 for value in middle)


def geometry(found: Sequence[Detection]) -> Row:
    """Return quartiles of the original square's scale and shift relative to the boxes; see `CropConfig`."""
    boxes = np.array([(d.box.x1, d.box.y1, d.box.x2, d.box.y2) for d in found], dtype=float)
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    middle = MARGIN + ENLARGED / 2
    quartiles = {
        "scale": np.percentile(ENLARGED / sides, (25, 50, 75)),
        "shift down": np.percentile((middle - boxes[:, 1::2].mean(axis=1)) / ENLARGED, (25, 50, 75)),
        "shift right": np.percentile((middle - boxes[:, ::2].mean(axis=1)) / ENLARGED, (25, 50, 75)),
        "width / height": np.percentile((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]), (25, 50, 75)),
    }
    return {name: values.round(3).tolist() for name, values in quartiles.items()}


def accuracy(engine: Engine, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Return the share of right predictions on (N, 1, H, W) uint8."""
    predictions = [engine.infer(images[i : i + 64]).argmax(axis=1) for i in range(0, len(images), 64)]
    return float((np.concatenate(predictions) == labels).mean())


def measure_margins(engine: Engine, faces: NDArray[np.uint8], labels: NDArray[np.int64], search: FaceSearch) -> Row:
    """Return geometry, and accuracy by scale and shift on the found faces."""
    pictures = [embed(face) for face in faces]
    found = [find_one(search, picture) for picture in pictures]
    kept = np.array([face is not None for face in found])
    result: Row = {"found": float(kept.mean()), "geometry": geometry([face for face in found if face is not None])}
    result["original"] = accuracy(engine, faces[kept][:, None], labels[kept])
    result["grid"] = [
        {
            "scale": scale,
            "shift": shift,
            "accuracy": accuracy(
                engine, cut(engine, pictures, found, CropConfig(scale=scale, shift=shift, upright=False)), labels[kept]
            ),
        }
        for scale in SCALES
        for shift in SHIFTS
    ]
    return result


def measure_turns(engine: Engine, faces: NDArray[np.uint8], labels: NDArray[np.int64], search: FaceSearch) -> list[Row]:
    """Return accuracy on rotated faces, unchanged and turned upright."""
    rows = []
    for roll in ROLLS:
        pictures = [embed(face, roll) for face in faces]
        found = [find_one(search, picture) for picture in pictures]
        kept = np.array([face is not None for face in found])
        row: Row = {"roll": roll, "found": float(kept.mean())}
        for name, upright in (("as it is", False), ("upright", True)):
            crops = cut(engine, pictures, found, CropConfig(upright=upright))
            row[name] = accuracy(engine, crops, labels[kept])
        rows.append(row)
    return rows


def cut(
    engine: Engine, pictures: Sequence[NDArray[np.uint8]], found: Sequence[Detection | None], crop: CropConfig
) -> NDArray[np.uint8]:
    """Return (N, 1, H, W) crops of the found faces."""
    pairs = [(p, f) for p, f in zip(pictures, found, strict=True) if f is not None]
    return np.concatenate([images_from_faces(p, [f], engine.spec.input, crop) for p, f in pairs])


def measure_clip(engine: Engine, clip: Path, search: FaceSearch, crops: dict[str, CropConfig]) -> list[Row]:
    """Return confidence and stability of the predictions by crop; frames without all people are left out."""
    frames = list(read_clip(clip))
    found = [search.detect(frame) for frame in frames]
    people = int(np.bincount([len(faces) for faces in found]).argmax())
    rows = []
    for name, crop in crops.items():
        probs = np.stack(
            [
                probs_from_logits(engine.infer(images_from_faces(frame, faces, engine.spec.input, crop)))
                for frame, faces in zip(frames, found, strict=True)
                if len(faces) == people
            ]
        )
        labels = probs.argmax(axis=2)
        rows.append(
            {
                "clip": clip.name,
                "crop": name,
                "people": people,
                "frames": len(labels),
                "confidence": float(probs.max(axis=2).mean()),
                "label changes": float((labels[1:] != labels[:-1]).mean()),
                "change of probabilities": float(np.abs(probs[1:] - probs[:-1]).sum(axis=2).mean() / 2),
                "neutral": float((labels == engine.spec.labels.index("neutral")).mean()),
            }
        )
    return rows


def clip_crops() -> dict[str, CropConfig]:
    """Return the crops that are compared on clips, by name."""
    levels = {f"scale {scale}": CropConfig(scale=scale, upright=False) for scale in SCALES}
    return {**levels, "default": CropConfig(), "default, upright": CropConfig(upright=True)}


def measure_model(path: Path, everyone: Faces, num: int, clips: Sequence[Path], searches: dict[str, FaceSearch]) -> Row:
    """Return the results of one model, on at most `num` faces of PublicTest (0: all) and on the clips."""
    with open_engine(path, device="cpu", threads=1) as engine:
        split = own_faces(everyone, "PublicTest", engine.spec.model_dump())
        chosen = np.unique(np.linspace(0, len(split) - 1, num or len(split), dtype=np.int64))
        faces, labels = split.images[chosen], split.labels[chosen]
        return {
            "model": engine.spec.name,
            "engine": engine.description,
            "labels": split.label_set,
            "faces": len(faces),
            "margins": {name: measure_margins(engine, faces, labels, search) for name, search in searches.items()},
            "turns": measure_turns(engine, faces, labels, searches["YuNet"]),
            "clips": [row for clip in clips for row in measure_clip(engine, clip, searches["YuNet"], clip_crops())],
        }


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


@click.command()
@click.option("--data", type=_there, required=True, help="fer2013.csv")
@click.option("--ferplus", type=_there, help="fer2013new.csv, for models of FER+'s votes, such as the default one.")
@yunet_option
@click.option(
    "--engine",
    "model",
    type=_there,
    help="Our model.  [default: the bundled one of FER2013's labels and, with --ferplus, the default one]",
)
@click.option(
    "--clip",
    "clips",
    type=_there,
    multiple=True,
    help=f"Video of people whose expressions hardly change, such as {WHERE_CLIPS_ARE}.",
)
@click.option("--faces", "num", default=0, help="Number of faces of PublicTest, spread evenly; 0: all.")
@output_options(report)
def main(
    data: Path,
    ferplus: Path | None,
    yunet: Path,
    model: Path | None,
    clips: tuple[Path, ...],
    num: int,
    output: Output,
) -> None:
    """Measure how the crop around a face changes the accuracy of each model."""
    everyone = read_faces(data, ferplus=ferplus)
    cv2.setNumThreads(1)  # one thread is enough for many small pictures
    network = open_yunet(yunet, fix="give --yunet the file of the OpenCV Zoo")
    finders: dict[str, FaceFinder] = {"YuNet": YuNetFinder(network), "Haar": HaarFinder()}
    searches = {name: FaceSearch(finder, min_face=24) for name, finder in finders.items()}
    families: tuple[Family, ...] = ("fer2013", "ferplus") if ferplus else ("fer2013",)
    models = [model] if model else [bundled_model_for("cpu", family) for family in families]
    device = torch.device("cpu")
    result: Row = {
        "environment": environment(device),
        "notes": [] if model or ferplus else [NO_VOTES],
        "models": [measure_model(path, everyone, num, clips, searches) for path in models],
    }
    output.write("crop_margin", device, result)


if __name__ == "__main__":
    main()
