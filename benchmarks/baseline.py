"""Measure the correction of resting faces and of the share of neutral faces: what it mends, and what it costs.

Three inputs. Clips of calm people: how many faces are shown as neutral, without and with a baseline. And tracks made of
FER2013's PublicTest: each has ten seconds of one neutral face, slightly moved in each frame, then one second of each
of eight other faces, as the labels of the model's family name them. The other faces are of other people, who do not
share the resting face, so what a wrong baseline costs them is not understated. And the clips again, with a smile of
FER2013 at their end.

    python benchmarks/baseline.py --data fer2013.csv --ferplus fer2013new.csv --clip a.gif
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import cv2
import numpy as np
import torch
from harness.clips import WHERE_CLIPS_ARE, read_clip
from harness.comparing import Measure, share_measure
from harness.measuring import environment, markdown_table, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray

from fer_deploy.artifacts import bundled_model
from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sources import open_source
from fer_deploy.spec import Precision
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.postprocess import emotions_from_logits
from fer_deploy.vision.preprocess import CropConfig
from fer_deploy.vision.quality_measures import measured_faces
from fer_deploy.vision.tracking.baseline import NEUTRAL
from fer_deploy.vision.tracking.people import People, PeopleConfig
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, TrackedFace
from fer_train.data import read_faces
from fer_train.data.consensus import own_faces
from fer_train.data.faces import Faces

FPS: Final = 10
CALM_S: Final = 10
NUM_SHOWN: Final = 8
NUM_SMILES: Final = 20
VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "first:10s, cap 1": {"baseline": "first:10s", "baseline_cap": 1.0},
    "first:10s": {"baseline": "first:10s"},
    "first:10s, cap 4": {"baseline": "first:10s", "baseline_cap": 4.0},
    "running": {"baseline": "running"},
    "neutral share 0.6": {"neutral_share": 0.6},
    "neutral share 0.8": {"neutral_share": 0.8},
}
Row = dict[str, Any]
_FACE: Final = (TrackedFace(1, Detection(Box(0, 0, 40, 50))),)
_there = click.Path(path_type=Path, exists=True)


class Track(NamedTuple):
    """One person: the emotions of the resting face, and one emotion for each face shown after it, with its truth."""

    rest: list[Emotion]
    shown: list[tuple[str, Emotion]]


class Eyes(NamedTuple):
    """What finds and reads faces."""

    detector: Detector
    engine: Engine

    def look(self, people: People, frame: NDArray[np.uint8], index: int) -> tuple[FaceResult, ...]:
        """Return the faces of a frame; there are `FPS` a second."""
        spec = self.engine.spec
        faces = people.see(frame, self.detector.detect(frame), index / FPS)
        images, qualities = measured_faces(frame, [face.detection for face in faces], spec.input, CropConfig())
        emotions = emotions_from_logits(self.engine.infer(images), spec.labels, temperature=spec.temperature)
        return people.smooth(faces, emotions, index / FPS, qualities)


def moved(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a face that moved by about a pixel, with a little noise."""
    shift = np.array([[1, 0, rng.normal(0, 0.7)], [0, 1, rng.normal(0, 0.7)]])
    warped = cv2.warpAffine(image, shift, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.clip(warped + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def tracks_of(engine: Engine, faces: Faces, num: int) -> list[Track]:
    """Return tracks of randomly drawn faces."""
    rng = np.random.default_rng(7)
    labels = engine.spec.labels
    calm = np.flatnonzero(faces.labels == labels.index(NEUTRAL))
    everyone = _emotions(engine, faces.images)
    tracks = []
    for face in rng.choice(calm, num, replace=False):
        frames = np.stack([moved(faces.images[face], rng) for _ in range(CALM_S * FPS // 5)])
        rest = [emotion for emotion in _emotions(engine, frames) for _ in range(5)]
        drawn = rng.choice(len(faces), NUM_SHOWN, replace=False)
        tracks.append(Track(rest, [(labels[faces.labels[one]], everyone[one]) for one in drawn]))
    return tracks


def _emotions(engine: Engine, images: NDArray[np.uint8]) -> list[Emotion]:
    batches = [images[start : start + 64, None] for start in range(0, len(images), 64)]
    logits = np.concatenate([engine.infer(batch) for batch in batches])
    return emotions_from_logits(logits, engine.spec.labels, temperature=engine.spec.temperature)


def played(track: Track, config: PeopleConfig, labels: Sequence[str]) -> Iterator[tuple[str, FaceResult]]:
    """Yield the truth and the result of the last frame of the calm stretch, and of each second after it."""
    people, time_s = People(config, labels), 0.0
    seconds = [(NEUTRAL, track.rest), *((truth, [emotion] * FPS) for truth, emotion in track.shown)]
    for truth, emotions in seconds:
        for emotion in emotions:
            (result,) = people.smooth(_FACE, [emotion], time_s)
            time_s += 1 / FPS
        yield truth, result


def track_row(name: str, tracks: Sequence[Track], config: PeopleConfig, labels: Sequence[str]) -> Row:
    """Return the share of calm stretches named neutral, and the share of the other faces that is named rightly."""
    rest, right, num = 0, Counter[str](), Counter[str]()
    for track in tracks:
        (_, at_rest), *others = played(track, config, labels)
        rest += at_rest.label == NEUTRAL
        for truth, result in others:
            num[truth] += 1
            right[truth] += result.label == truth
    recall = {label: right[label] / num[label] for label in labels if num[label]}
    return {"correction": name, "rest": rest / len(tracks), "right": right.total() / num.total(), "recall": recall}


def clip_rows(clip: Path, yunet: Path, engine: Engine) -> Iterator[Row]:
    """Yield, for each correction, how many faces of a clip are shown as each label from the second second on."""
    detectors = build_detectors(DetectorConfig(detector="yunet", detector_model=yunet))
    for name, settings in VARIANTS.items():
        config = PipelineConfig.model_validate({"people": dict(settings)}, strict=False)
        shown, raw = Counter[str](), Counter[str]()
        for result in LivePipeline(open_source(str(clip)), detectors, engine, config=config):
            for face in result.faces if result.frame.time_s >= 1 else ():
                shown[face.shown_label] += 1
                raw[face.emotion.label] += 1
        yield {
            "clip": clip.name,
            "correction": name,
            "raw": dict(raw.most_common()),
            "shown": dict(shown.most_common()),
        }


def smile_row(name: str, calm: Sequence[NDArray[np.uint8]], smiles: Sequence[NDArray[np.uint8]], eyes: Eyes) -> Row:
    """Return how many smiles are shown as happy after a calm clip.

    The smile of another face is put in place of the first face of the clip's last frame: there is no clip with both.
    """
    config = PeopleConfig(**VARIANTS[name]).for_model(eyes.engine.spec)
    labels = eyes.engine.spec.labels
    people = People(config, labels)
    for index, frame in enumerate(calm):
        (first, *_) = eyes.look(people, frame, index)
    state, box = people.state(), first.box
    shown = Counter[str]()
    for smile in smiles:
        frame = calm[-1].copy()
        around = slice(box.y1, box.y2), slice(box.x1, box.x2)
        frame[around] = cv2.resize(smile, (box.x2 - box.x1, box.y2 - box.y1))[..., None]
        after = People.from_state(config, labels, state)
        for index in range(len(calm), len(calm) + FPS):
            found = eyes.look(after, frame, index)
        (label,) = [face.shown_label for face in found if face.face.track_id == first.face.track_id] or ["not found"]
        shown[label] += 1
    return {"correction": name, "before": first.shown_label, "shown": dict(shown.most_common())}


def as_markdown(result: Row) -> str:
    """Return the report as Markdown."""
    env = result["environment"]
    rows = [
        {
            "correction": row["correction"],
            "calm stretch is neutral": f"{row['rest']:.1%}",
            "other faces right": f"{row['right']:.1%}",
            **{label: f"{share:.1%}" for label, share in row["recall"].items()},
        }
        for row in result["tracks"]
    ]
    lines = [f"# Baseline, {env['hardware']}", "", f"{env['date']}, Python {env['python']}, {env['engine']}.", ""]
    lines += [f"    {env['command']}", "", f"{result['num_tracks']} tracks of PublicTest; recall by label.", ""]
    lines += markdown_table(rows, digits=3)
    if result["clips"]:
        told = [{**row, **{name: _counts(row[name]) for name in ("raw", "shown")}} for row in result["clips"]]
        lines += ["", "## Clips of calm people, from the first second on", "", *markdown_table(told, digits=3)]
        told = [{**row, "shown": _counts(row["shown"])} for row in result["smiles"]]
        lines += ["", f"## {NUM_SMILES} smiles after them", "", *markdown_table(told, digits=3)]
    return "\n".join([*lines, ""])


def measures_of(result: Row) -> list[Measure]:
    """Return what --compare compares: shares of tracks and of faces, which no machine's speed changes."""
    num, found = result["num_tracks"], []
    for row in result["tracks"]:
        found.append(share_measure(f"{row['correction']}: calm stretch is neutral", row["rest"], num))
        found.append(share_measure(f"{row['correction']}: other faces right", row["right"], num * NUM_SHOWN))
    for row in result["smiles"]:
        shown, total = row["shown"].get("happy", 0), sum(row["shown"].values())
        found.append(share_measure(f"{row['clip']}, {row['correction']}: smiles shown", shown / total, total))
    return found


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


def smile_rows(clip: Path, yunet: Path, engine: Engine, faces: Faces) -> Iterator[Row]:
    """Yield a row for each correction."""
    detector = build_detectors(DetectorConfig(detector="yunet", detector_model=yunet))()
    frames = list(read_clip(clip))
    happy = np.flatnonzero(faces.labels == engine.spec.labels.index("happy"))
    smiles = [faces.images[one] for one in np.random.default_rng(3).choice(happy, NUM_SMILES, replace=False)]
    for name in VARIANTS:
        yield {"clip": clip.name, **smile_row(name, frames, smiles, Eyes(detector, engine))}


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {num}" for label, num in counts.items())


@click.command()
@click.option("--data", type=_there, required=True, help="fer2013.csv")
@click.option("--ferplus", type=_there, required=True, help="fer2013new.csv, the votes of FER+")
@yunet_option
@click.option("--engine", "model", type=_there, help="Our model.  [default: the bundled INT8 one]")
@click.option("--clip", "clips", type=_there, multiple=True, help=f"Video of calm people, such as {WHERE_CLIPS_ARE}.")
@click.option("--tracks", "num", default=400, help="Tracks of PublicTest.")
@output_options(report)
def main(
    data: Path, ferplus: Path, yunet: Path, model: Path | None, clips: tuple[Path, ...], num: int, output: Output
) -> None:
    """Measure the correction of resting faces."""
    cv2.setNumThreads(1)
    everyone = read_faces(data, ferplus=ferplus)
    cpu = torch.device("cpu")
    with open_engine(model or bundled_model(Precision.INT8, "ferplus"), device="cpu", threads=1) as engine:
        faces = own_faces(everyone, "PublicTest", engine.spec.model_dump())
        configs = {name: PeopleConfig(**settings).for_model(engine.spec) for name, settings in VARIANTS.items()}
        tracks = tracks_of(engine, faces, num)
        result: Row = {
            "environment": environment(cpu) | {"engine": engine.description},
            "num_tracks": num,
            "tracks": [track_row(name, tracks, config, engine.spec.labels) for name, config in configs.items()],
            "clips": [row for clip in clips for row in clip_rows(clip, yunet, engine)],
            "smiles": [row for clip in clips for row in smile_rows(clip, yunet, engine, faces)],
        }
    output.write("baseline", cpu, result)


if __name__ == "__main__":
    main()
