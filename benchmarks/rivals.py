r"""Run other projects' loops beside ours: the same frames, in one run, alternating; and the accuracy of their models.

Each project runs in a Python in which it is installed: this one, or one given by --rival-python. What no Python has is
listed with the reason. Nothing is downloaded: a model that is not in its wheel has random weights, or is replaced by
ours, and the row says so. Three Pythons have all of them, without conflicts (16 GB):

    for name in fer deepface inside; do python -m venv /tmp/$name; done
    /tmp/fer/bin/pip install fer==25.10.3 tensorflow-cpu==2.21.0 'opencv-contrib-python<5' 'setuptools<81'
    /tmp/deepface/bin/pip install deepface==0.0.103 tensorflow-cpu==2.21.0 tf-keras werkzeug \
        'opencv-contrib-python-headless<5'
    /tmp/inside/bin/pip install uniface==4.2.1 supervision==0.31.2 ultralytics==8.4.190 openvino==2026.4.1 \
        '.[cpu,train]'
    python benchmarks/rivals.py --rival-python /tmp/fer/bin/python --rival-python /tmp/deepface/bin/python \
        --rival-python /tmp/inside/bin/python
    python benchmarks/rivals.py --rival-python /tmp/fer/bin/python --only fer --rounds 0 --data fer2013.csv

The tutorials are those of fps.py: PyTorch face by face, with Haar or YuNet.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from fps import REFERENCE, summarize
from harness.apart import BENCHMARKS, result_of, run_apart
from harness.clips import ROOT, clips_option
from harness.comparing import Measure
from harness.machine import machine_lines
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray
from others.report import as_markdown
from others.table import Place, Rival, chosen, place_of, placed
from rich.console import Console

from fer_deploy.bench.statistics import ratio_interval
from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.engines.threads import available_cores
from fer_deploy.spec import ModelSpec
from fer_deploy.vision.postprocess import probs_from_logits
from fer_train.data import read_faces
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.splits import take_split
from fer_train.evaluation.evaluate import evaluate_predictions

OURS, HAAR = "live loop", "Haar tutorial"
Row = dict[str, Any]
_LEAST_PROB, _BATCH = 1e-7, 64
_console = Console(stderr=True)
_there = click.Path(path_type=Path, exists=True)


def run_rival(rival: Rival, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Run a rival in its Python; see `others.loop`.

    Raises:
        click.ClickException: it failed; the message has the end of its output.
    """
    whole = {**rival.request, **request}
    command = [str(place.python), "-m", "others.loop", json.dumps(whole)]
    return result_of(command, [str(BENCHMARKS), str(ROOT)], whole)


def measured_rounds(
    loops: dict[str, Callable[[], dict[str, Any]]], rounds: int
) -> tuple[list[dict[str, dict[str, Any]]], dict[str, str]]:
    """Run the loops in turn and return the rounds; a loop that fails is left out of all rounds, with the reason."""
    found: list[dict[str, dict[str, Any]]] = []
    failed: dict[str, str] = {}
    for number in range(rounds):
        found.append({})
        for name, loop in loops.items():
            if name in failed:
                continue
            try:
                found[-1][name] = loop()
            except click.ClickException as err:
                if name in (REFERENCE, OURS):
                    raise
                failed[name] = err.message.splitlines()[-1]
                continue
            _console.print(f"round {number + 1}/{rounds}, {name}: {found[-1][name]['fps']:.1f} frames/s")
    return [{name: run for name, run in one.items() if name not in failed} for one in found], failed


def speed_rows(rounds: list[dict[str, dict[str, Any]]], versions: dict[str, str]) -> list[Row]:
    """Return a row a loop: medians, and how many times as fast our live loop was in the same round."""
    rows = summarize(rounds, cores=available_cores())
    for row in rows:
        name = row["variant"]
        ours, theirs = [one[OURS] for one in rounds], [one[name] for one in rounds]
        over = ratio_interval([one["fps"] for one in ours], [one["fps"] for one in theirs])
        cpu = ratio_interval([one["cpu_ms_per_frame"] for one in theirs], [one["cpu_ms_per_frame"] for one in ours])
        row |= {
            "ours_over": over.value,
            "ours_interval": [over.low, over.high],
            "ours_over_cpu": cpu.value,
            "versions": versions.get(name, ""),
            "note": theirs[-1].get("note", ""),
        }
    return rows


def accuracy_rows(name: str, probs: NDArray[np.float32], spec: dict[str, Any], faces: Faces, split: str) -> list[Row]:
    """Return the accuracy of probabilities (N, C) of a split's faces, against each label set."""
    logits = np.log(np.maximum(probs, _LEAST_PROB)).astype(np.float32)
    rows = []
    for label_set in ["fer2013", *(["ferplus"] if faces.votes is not None else [])]:
        found = evaluate_predictions(lambda _: {"plain": logits}, faces, split, spec=spec, label_set=label_set)
        metrics = found.official()
        rows.append(
            {
                "variant": name,
                "labels": found.in_words,
                "num_faces": metrics.num_faces,
                "accuracy": metrics.accuracy,
                "accuracy_interval": metrics.accuracy_interval,
                "f1": metrics.f1,
            }
        )
    return rows


def spec_of(rival: Rival, ours: ModelSpec) -> dict[str, Any]:
    """Return the ModelSpec of a rival's answers: ours, or for a project's own model FER2013's labels in their order."""
    same = ours.model_dump()
    return (
        same
        if rival.request["kind"] in ("opencv", "openvino")
        else same | {"labels": list(EMOTIONS), "temperature": 1.0}
    )


def our_accuracy(model: Path, faces: Faces, split: str) -> list[Row]:
    """Return the rows of one of our models in our engine."""
    images = take_split(faces, split).images
    with open_engine(model, device="cpu") as engine:
        logits = np.concatenate([engine.infer(images[i : i + _BATCH, None]) for i in range(0, len(images), _BATCH)])
        spec = engine.spec.model_dump()
    return accuracy_rows(f"ours, {model.stem}", probs_from_logits(logits), spec, faces, split)


def measure_accuracy(
    found: Sequence[tuple[Rival, Place, str]], faces: Faces, split: str, files: dict[str, Any], spec: ModelSpec
) -> list[Row]:
    """Return the rows of every rival with a model, on all faces of a split."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        pixels, out = Path(folder) / "faces.npy", Path(folder) / "probs.npy"
        np.save(pixels, take_split(faces, split).images)
        for rival, place, versions in found:
            if not rival.has_model:
                continue
            _console.print(f"{rival.name}: every face of {split}")
            try:
                run_rival(rival, place, {**files, "faces": str(pixels), "out": str(out)})
            except click.ClickException as err:
                rows.append({"variant": rival.name, "skipped": err.message.splitlines()[-1]})
                continue
            judged = accuracy_rows(rival.name, np.load(out), spec_of(rival, spec), faces, split)
            rows += [row | {"versions": versions} for row in judged]
    return rows


def measure_speed(
    found: Sequence[tuple[Rival, Place, str]], clip: Path, files: dict[str, Any], *, frames: int, rounds: int
) -> list[Row]:
    """Return the rows of every loop on one clip, ours and the tutorials first."""
    own = {**files, "clip": str(clip), "engine": ""}
    short = max(1, frames // 5)
    tutorial = {**own, "kind": "tutorial", "frames": short}
    loops: dict[str, Callable[[], dict[str, Any]]] = {
        OURS: lambda: run_apart("live.loops", {**own, "kind": "live", "frames": frames, "detect_every": 1}),
        REFERENCE: lambda: run_apart("live.loops", tutorial | {"detector": "yunet"}),
        HAAR: lambda: run_apart("live.loops", tutorial | {"detector": "haar"}),
    }
    for rival, place, _ in found:
        loops[rival.name] = lambda r=rival, p=place: run_rival(r, p, {**own, "frames": short})  # type: ignore[misc]
    done, failed = measured_rounds(loops, rounds)
    rows = speed_rows(done, {rival.name: text for rival, _, text in found})
    return rows + [{"variant": name, "skipped": reason} for name, reason in failed.items()]


def measures_of(results: Sequence[dict[str, Any]], accuracy: Sequence[Row], *, rounds: int) -> list[Measure]:
    """Return what --compare compares: how many times as fast ours is as each loop, and the accuracies.

    One round tells nothing of the noise.
    """
    speed = [
        Measure(
            f"{one['clip']}, {row['variant']}: ours is",
            row["ours_over"],
            *(row["ours_interval"] if rounds > 1 else (None, None)),
            "higher",
            is_ratio=True,
        )
        for one in results
        for row in one["rows"]
        if "skipped" not in row and row["variant"] != OURS
    ]
    return speed + [
        Measure(
            f"{row['variant']}, {row['labels']}: accuracy",
            row["accuracy"],
            *row["accuracy_interval"],
            "higher",
            is_ratio=True,
        )
        for row in accuracy
        if "skipped" not in row
    ]


def _places(context: click.Context, parameter: click.Parameter, pythons: tuple[Path, ...]) -> list[Place]:
    try:
        return [place_of(python) for python in (Path(sys.executable), *pythons)]
    except (OSError, subprocess.CalledProcessError) as err:
        raise click.UsageError(f"--rival-python: {err}. Fix: the file bin/python of a virtual environment") from err


def report(result: Result) -> Report:
    """Return what the result file shows."""
    env, clips, accuracy = result["environment"], result["clips"], result["accuracy"]
    text = as_markdown(clips, accuracy, env, machine_lines(result.get("host")))
    return Report(text, measures_of(clips, accuracy, rounds=int(env["rounds"])), names_machine=True)


@click.command()
@clips_option
@yunet_option
@click.option("--rival-python", "places", type=_there, multiple=True, callback=_places, help="Repeatable.")
@click.option("--only", multiple=True, help="Beginning of a row's name; repeatable.  [default: all]")
@click.option("--checkpoint", type=_there, default="weights/senet-ferplus.safetensors", show_default=True)
@click.option("--frames", default=300, show_default=True, help="Of our loop; the others get a fifth.")
@click.option("--rounds", default=3, show_default=True, help="0: no speed.")
@click.option("--data", type=_there, help="FER2013: measure the accuracy of their models, too.")
@click.option("--ferplus", type=_there, help="fer2013new.csv: against FER+'s majority, too.")
@click.option("--split", default="PublicTest", show_default=True)
@output_options(report)
def main(
    clips: tuple[Path, ...],
    yunet: Path,
    places: list[Place],
    only: tuple[str, ...],
    checkpoint: Path,
    frames: int,
    rounds: int,
    data: Path | None,
    ferplus: Path | None,
    split: str,
    output: Output,
) -> None:
    """Compare our live loop and model with other projects."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "tensorflow")  # whose network is in its wheel
    os.environ.setdefault("YOLO_OFFLINE", "true")  # else Ultralytics asks the net for itself, and may report its use
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    model = bundled_model_for("cpu")
    with open_engine(model, device="cpu") as engine:
        spec = engine.spec
    found, skipped = placed(chosen(only), places)
    files = {"yunet": str(yunet), "checkpoint": str(checkpoint), "onnx": str(model), "labels": list(spec.labels)}
    results = []
    for clip in clips if rounds else ():
        rows = measure_speed(found, clip, files, frames=frames, rounds=rounds)
        results.append({"clip": clip.name, "rows": [*rows, *skipped]})
    faces = None if data is None else read_faces(data, ferplus=ferplus)
    accuracy = []
    if faces is not None:
        # A model answers best in the labels that it learned, so one of each family is compared.
        ours = dict.fromkeys((model, bundled_model_for("cpu", "fer2013")))
        accuracy = [row for one in ours for row in our_accuracy(one, faces, split)]
        accuracy += measure_accuracy(found, faces, split, files, spec)
    device = torch.device("cpu")
    env = environment(device) | {"rounds": str(rounds), "yunet": yunet.name, "split": split, "model": model.name}
    output.write("rivals", device, {"environment": env, "clips": results, "accuracy": accuracy})


if __name__ == "__main__":
    main()
