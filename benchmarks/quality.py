"""Measure what degraded faces cost, where the limits of `fer_deploy.vision.quality` stand, and whom the flags meet.

Faces of PublicTest are degraded in one way at a time: size, blur, light, contrast, noise, tilt, cut off by an edge. A
model of FER+'s votes has the faces on which a majority of the taggers agrees, another has all of them, with FER2013's
labels. Each point has the accuracy, what `quality_of_face` measures, and the share that its flag meets. Yaw and pitch
are those of the faces themselves, from YuNet's landmarks. No face is written.

    python benchmarks/quality.py --data fer2013.csv --ferplus fer2013new.csv --clip a.gif
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import cv2
import numpy as np
import torch
from harness.clips import WHERE_CLIPS_ARE, read_clip
from harness.comparing import Measure, share_measure
from harness.measuring import environment, yunet_option
from harness.quality_report import as_markdown, write_chart
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray

from fer_deploy.artifacts import bundled_model
from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.spec import Precision
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.preprocess import CropConfig
from fer_deploy.vision.quality import FaceQuality, QualityFlag
from fer_deploy.vision.quality_measures import measured_faces, quality_of_face
from fer_deploy.vision.types import Box, Detection
from fer_train.data import read_faces
from fer_train.data.consensus import own_faces
from fer_train.data.faces import Faces
from fer_train.evaluation.degradation import blurred, faded, shrunk, tilted

Images = NDArray[np.uint8]
"""Gray faces (N, 48, 48)."""
Row = dict[str, Any]
SIDE: Final = 48
FRAME: Final = 320
"""Side of the picture in which a face is searched for; the face takes 192 of it."""
YAWS, PITCHES = (0, 10, 20, 30, 40, 50, 60, 90), (-60, -30, -20, -10, 0, 10, 20, 30, 60)
"""Edges of the bins, in degrees."""
SIDES: Final = {"left": 0, "above": 1, "right": 2, "below": 3}
_WHOLE: Final = Detection(Box(136, 136, 184, 184))
_there = click.Path(path_type=Path, exists=True)


@dataclass(frozen=True)
class Degraded:
    """Faces that were degraded in one way.

    Attributes:
        what: such as "blur".
        amount: how much, in the unit of `what`.
        images: the faces.
        flag: what should meet them if it is too much.
        measure: name of the number by which the flag is set; see `QUALITY_NAMES`.
        detection: of every face; its size and what is cut off are the degradation's.
    """

    what: str
    amount: float
    images: Images
    flag: QualityFlag
    measure: str
    detection: Detection = _WHOLE


def degradations(images: Images) -> Iterator[Degraded]:
    """Yield all points of the curves."""
    flags, whole = QualityFlag, images.astype(np.float32)
    for side in (36, 24, 18, 16, 14, 12, 10, 8):
        box_side = round(side / CropConfig().scale)  # the network's square is larger than the detector's box
        found = Detection(Box(136, 136, 136 + box_side, 136 + box_side))
        yield Degraded("size", side, shrunk(images, side), flags.SMALL_FACE, "size_px", found)
    for sigma in (0.5, 0.8, 1.2, 1.6, 2.0, 3.0, 4.0):
        yield Degraded("blur", sigma, blurred(images, sigma), flags.LOW_SHARPNESS, "sharpness")
    for gain in (0.5, 0.25, 0.12, 0.06, 0.03):
        yield Degraded("dark", gain, _clipped(whole * gain), flags.LOW_BRIGHTNESS, "brightness")
    for shift in (40, 80, 100, 120, 150):
        yield Degraded("bright", shift, _clipped(whole + shift), flags.HIGH_BRIGHTNESS, "brightness")
    for std in (40.0, 25.0, 16.0, 10.0, 6.0, 4.0, 2.5, 1.5):
        yield Degraded("contrast", std, faded(images, std), flags.LOW_CONTRAST, "contrast")
    for std in (4.0, 8.0, 16.0, 32.0, 64.0):
        noise = np.random.default_rng(1).normal(0, std, images.shape)
        yield Degraded("noise", std, _clipped(whole + noise), flags.NOISY, "grain")
    for degrees in (10.0, 20.0, 30.0, 40.0, 45.0, 60.0):
        yield Degraded("tilt", degrees, tilted(images, degrees), flags.EXTREME_POSE, "roll_deg", _leaning(degrees))
    for side, place in SIDES.items():
        for pixels in (5, 10, 14, 19, 24):
            found = _at_the_edge(place, pixels / SIDE)
            measure = ("cut_left", "cut_top", "cut_right", "cut_bottom")[place]
            yield Degraded(f"cut {side}", pixels / SIDE, cut(images, place, pixels), flags.CUT_OFF, measure, found)


def cut(images: Images, place: int, pixels: int) -> Images:
    """Return faces whose edge lost so many pixels, which repeat the next one; `place` is a value of `SIDES`."""
    turned = np.rot90(images, place, axes=(1, 2)).copy()  # so that this side is the left one
    turned[:, :, :pixels] = turned[:, :, pixels : pixels + 1]
    return np.rot90(turned, -place, axes=(1, 2)).copy()


def _clipped(pixels: NDArray[np.floating[Any]]) -> Images:
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _leaning(degrees: float) -> Detection:
    """Return a face whose landmarks lean by so much."""
    angle, middle = np.radians(degrees), FRAME / 2
    points = [(-20, -20), (20, -20), (0, 2), (-16, 21), (16, 21)]
    turned = [
        (middle + x * np.cos(angle) - y * np.sin(angle), middle + x * np.sin(angle) + y * np.cos(angle))
        for x, y in points
    ]
    return Detection(Box(110, 110, 210, 210), 1.0, tuple(turned))  # type: ignore[arg-type]


def _at_the_edge(place: int, share: float) -> Detection:
    """Return a face of which this share of the network's square lies outside of the picture."""
    crop, side = CropConfig(), 96
    square = crop.scale * side
    start = (FRAME - side) / 2
    near = -share * square + (square - side) / 2  # of the box, from the edge that cuts
    down = crop.shift * square
    x = {0: near, 2: FRAME - near - side}.get(place, start)
    y = {1: near - down, 3: FRAME - near - side - down}.get(place, start)
    box = Box(round(x), round(y), round(x) + side, round(y) + side)
    return Detection(box)


def answers(engine: Engine, images: Images) -> NDArray[np.int64]:
    """Return the most probable class (N,) of each face."""
    batches = [images[start : start + 64, None] for start in range(0, len(images), 64)]
    return np.concatenate([engine.infer(batch).argmax(axis=1) for batch in batches])


def point(engine: Engine, degraded: Degraded, labels: NDArray[np.int64]) -> Row:
    """Return accuracy, the measured number (median, 5 % and 95 %), and the share with the flag."""
    measured = [quality_of_face(image, degraded.detection, (FRAME, FRAME), CropConfig()) for image in degraded.images]
    values = np.array([quality.values()[degraded.measure] for quality in measured], dtype=float)
    return {
        "what": degraded.what,
        "amount": float(degraded.amount),
        "measure": degraded.measure,
        "value": float(np.median(values)),
        "range": np.percentile(values, (5, 95)).tolist(),
        "accuracy": float((answers(engine, degraded.images) == labels).mean()),
        "flag": str(degraded.flag),
        "flagged": float(np.mean([degraded.flag in quality.flags for quality in measured])),
    }


def found_faces(detector: Detector, images: Images) -> list[FaceQuality | None]:
    """Return the quality of each face as the detector finds it in a larger picture; None: not found."""
    qualities: list[FaceQuality | None] = []
    for image in images:
        frame = np.full((FRAME, FRAME, 3), int(image.mean()), np.uint8)
        frame[64:256, 64:256] = cv2.resize(image, (192, 192), interpolation=cv2.INTER_LINEAR)[..., None]
        found = max(detector.detect(frame), key=lambda one: one.score, default=None)
        # The number of pixels is that of the enlarged face; sharpness and the others are those of the face itself.
        qualities.append(None if found is None else quality_of_face(image, found, (FRAME, FRAME), CropConfig()))
    return qualities


def pose_rows(qualities: Sequence[FaceQuality | None], is_right: NDArray[np.bool_]) -> list[Row]:
    """Return the accuracy by yaw and by pitch of the faces that were found."""
    poses = [None if quality is None else quality.pose for quality in qualities]
    rows = []
    for what, measure, edges in (("yaw", "yaw_deg", YAWS), ("pitch", "pitch_deg", PITCHES)):
        angles = np.array([np.nan if pose is None else getattr(pose, what) for pose in poses])
        angles = np.abs(angles) if what == "yaw" else angles
        for low, high in pairwise(edges):
            here = (angles >= low) & (angles < high)
            if here.any():
                about = {
                    "what": what,
                    "measure": measure,
                    "range": [low, high],
                    "value": float(np.median(angles[here])),
                }
                rows.append(about | {"faces": int(here.sum()), "accuracy": float(is_right[here].mean())})
    return rows


def flag_rows(qualities: Sequence[FaceQuality | None], is_right: NDArray[np.bool_]) -> list[Row]:
    """Return, for faces as they are, how many have each flag, and the accuracy with and without."""
    flags = [() if quality is None else quality.flags for quality in qualities]
    kinds = {str(flag): np.array([flag in found for found in flags]) for flag in QualityFlag}
    kinds["any flag"] = np.array([bool(found) for found in flags])
    kinds["no flag"] = np.array([not found for found in flags])
    kinds["not found by the detector"] = np.array([quality is None for quality in qualities])
    return [
        {"flag": name, "faces": int(here.sum()), "accuracy": float(is_right[here].mean()) if here.any() else None}
        for name, here in kinds.items()
    ]


def clip_row(clip: Path, detector: Detector, engine: Engine) -> Row:
    """Return how many faces of a clip have each flag."""
    qualities: list[FaceQuality] = []
    for frame in read_clip(clip):
        qualities += measured_faces(frame, detector.detect(frame), engine.spec.input, CropConfig())[1]
    flagged = {str(flag): sum(flag in quality.flags for quality in qualities) for flag in QualityFlag}
    medians = {
        name: float(np.median([getattr(quality, name) for quality in qualities]))
        for name in ("size_px", "sharpness", "brightness", "contrast", "grain")
    }
    any_flag = sum(bool(quality.flags) for quality in qualities)
    return {"clip": clip.name, "faces": len(qualities), "flagged": any_flag, "flags": flagged, "medians": medians}


def measure(engine: Engine, faces: Faces, detector: Detector, num: int) -> Row:
    """Return all curves and tables."""
    spread = np.unique(np.linspace(0, len(faces) - 1, num or len(faces), dtype=np.int64))
    images, labels = faces.images[spread], faces.labels[spread]
    is_right = answers(engine, faces.images) == faces.labels
    qualities = found_faces(detector, faces.images)
    return {
        "faces": len(spread),
        "all_faces": len(faces),
        "clean": float(is_right[spread].mean()),
        "points": [point(engine, degraded, labels) for degraded in degradations(images)],
        "poses": pose_rows(qualities, is_right),
        "flags": flag_rows(qualities, is_right),
    }


def measures_of(result: Row) -> list[Measure]:
    """Return what --compare compares: the accuracy at every point, and the share of faces that its flag meets."""
    num, found = result["faces"], [share_measure("faces as they are: accuracy", result["clean"], result["faces"])]
    for row in result["points"]:
        name = f"{row['what']} {row['amount']:.3g}"
        found.append(share_measure(f"{name}: accuracy", row["accuracy"], num))
        found.append(share_measure(f"{name}: flagged", row["flagged"], num))
    for row in result["poses"]:
        low, high = row["range"]
        found.append(share_measure(f"{row['what']} {low} to {high}: accuracy", row["accuracy"], row["faces"]))
    return found


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result), partial(write_chart, result))


@click.command()
@click.option("--data", type=_there, required=True, help="fer2013.csv")
@click.option("--ferplus", type=_there, required=True, help="fer2013new.csv, the votes of FER+")
@yunet_option
@click.option("--engine", "model", type=_there, help="Our model.  [default: the bundled INT8 one]")
@click.option("--clip", "clips", type=_there, multiple=True, help=f"Video of people, such as {WHERE_CLIPS_ARE}.")
@click.option("--faces", "num", default=800, help="Faces of a curve, spread evenly over PublicTest; 0: all.")
@output_options(report)
def main(
    data: Path, ferplus: Path, yunet: Path, model: Path | None, clips: tuple[Path, ...], num: int, output: Output
) -> None:
    """Measure what degraded faces cost, and the limits of the quality flags."""
    cv2.setNumThreads(1)
    everyone = read_faces(data, ferplus=ferplus)
    detector = build_detectors(DetectorConfig(detector="yunet", detector_model=yunet))()
    cpu = torch.device("cpu")
    with open_engine(model or bundled_model(Precision.INT8, "ferplus"), device="cpu", threads=1) as engine:
        faces = own_faces(everyone, "PublicTest", engine.spec.model_dump())
        measured = measure(engine, faces, detector, num) | {"label_set": faces.label_set}
        result: Row = {"environment": environment(cpu) | {"engine": engine.description}, **measured}
        result["clips"] = [clip_row(clip, detector, engine) for clip in clips]
    output.write("quality", cpu, result)


if __name__ == "__main__":
    main()
