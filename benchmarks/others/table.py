"""The projects that rivals.py runs beside ours: what each needs, and in which Python it is installed."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

PINNED = {
    "fer": "25.10.3",
    "deepface": "0.0.103",
    "tensorflow": "2.21.0",
    "supervision": "0.31.2",
    "ultralytics": "8.4.190",
    "openvino": "2026.4.1",
    "uniface": "4.2.1",
}
"""Versions that were tried; another version runs too, and the report says so."""
_PROBE = """
import importlib.metadata as metadata, importlib.util as util, json, sys
names = json.loads(sys.argv[1])
owners = metadata.packages_distributions()
def version(name):
    if util.find_spec(name) is None: return None
    return metadata.version(owners[name][0]) if name in owners else "?"
print(json.dumps({name: version(name) for name in names}))
"""


@dataclass(frozen=True)
class Rival:
    """A row of the comparison.

    Attributes:
        name: in the report.
        request: for `others.loop`, without files.
        needs: modules that must be importable, the project's own first.
        install: what to install into a Python of its own.
        has_model: whether it has a model of its own, or ours in another runtime, whose accuracy can be measured.
    """

    name: str
    request: dict[str, Any]
    needs: tuple[str, ...]
    install: str
    has_model: bool = False


_FER = "fer==25.10.3 tensorflow-cpu==2.21.0 'opencv-contrib-python<5' 'setuptools<81'"
_DEEPFACE = "deepface==0.0.103 tensorflow-cpu==2.21.0 tf-keras werkzeug 'opencv-contrib-python-headless<5'"
_WITH_DEEPFACE = ("deepface", "tensorflow", "tf_keras", "werkzeug")  # which does not ask for the last one itself
_INSIDE, _TRAINED = "'.[cpu]'", "'.[cpu,train]'"
RIVALS = (
    Rival("fer, TFLite", {"kind": "fer", "tflite": True}, ("fer", "tensorflow", "pkg_resources"), _FER, True),
    Rival("fer, Keras", {"kind": "fer", "tflite": False}, ("fer", "tensorflow", "pkg_resources"), _FER, True),
    Rival("deepface, Haar", {"kind": "deepface", "detector": "opencv"}, _WITH_DEEPFACE, _DEEPFACE),
    Rival("deepface, YuNet", {"kind": "deepface", "detector": "yunet"}, _WITH_DEEPFACE, _DEEPFACE),
    Rival(
        "uniface, our networks",
        {"kind": "uniface"},
        ("uniface", "torch", "safetensors", "onnxruntime", "pydantic", "yaml"),
        f"uniface==4.2.1 {_TRAINED}",
    ),
    Rival("YuNet tutorial, our model in OpenCV DNN", {"kind": "opencv"}, ("cv2",), "opencv-python", True),
    Rival("YuNet tutorial, our model in OpenVINO", {"kind": "openvino"}, ("openvino", "cv2"), "openvino", True),
    Rival(
        "supervision, our engine",
        {"kind": "supervision"},
        ("supervision", "onnxruntime", "pydantic", "yaml"),
        f"supervision==0.31.2 {_INSIDE}",
    ),
    Rival(
        "Ultralytics, our engine",
        {"kind": "ultralytics"},
        ("ultralytics", "torch", "torchvision", "onnxruntime", "pydantic", "yaml"),
        f"ultralytics==8.4.190 {_INSIDE}",
    ),
)


@dataclass(frozen=True)
class Place:
    """A Python and the versions of the modules that it has; None: it lacks the module."""

    python: Path
    versions: dict[str, str | None]


def place_of(python: Path, rivals: Sequence[Rival] = RIVALS) -> Place:
    """Return which of the needed modules a Python has.

    Raises:
        OSError: it cannot be started.
        subprocess.CalledProcessError: it is no Python, or is broken.
    """
    names = sorted({module for rival in rivals for module in rival.needs})
    command = [str(python), "-P", "-c", _PROBE, json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Place(python, json.loads(done.stdout.splitlines()[-1]))


def find_place(rival: Rival, places: Sequence[Place]) -> tuple[Place | None, str]:
    """Return the first Python that has all that a rival needs, and its versions; or None and what is missing."""
    missing: list[str] = []
    for place in places:
        lacks = [module for module in rival.needs if place.versions.get(module) is None]
        if not lacks:
            return place, ", ".join(f"{module} {_version(module, place)}" for module in rival.needs)
        missing = min(missing or lacks, lacks, key=len)
    return None, f"no Python here has {', '.join(missing)}. Fix: pip install {rival.install} in one, --rival-python it"


def _version(module: str, place: Place) -> str:
    version = place.versions[module] or ""
    pinned = PINNED.get(module, version)
    return version if version == pinned else f"{version} (pinned: {pinned})"


def chosen(only: Sequence[str]) -> list[Rival]:
    """Return the rivals whose names begin with one of these words, or all.

    Raises:
        click.UsageError: a word fits none.
    """
    fits = {word: [rival for rival in RIVALS if rival.name.lower().startswith(word.lower())] for word in only}
    for word, found in fits.items():
        if not found:
            names = ", ".join(rival.name for rival in RIVALS)
            raise click.UsageError(f"--only {word} fits no rival. Fix: the beginning of one of: {names}")
    return [rival for rival in RIVALS if not only or any(rival in found for found in fits.values())]


def placed(
    rivals: Sequence[Rival], places: Sequence[Place]
) -> tuple[list[tuple[Rival, Place, str]], list[dict[str, Any]]]:
    """Return each rival with its Python and versions, and a row with the reason for each that has none."""
    found, skipped = [], []
    for rival in rivals:
        place, text = find_place(rival, places)
        if place is None:
            skipped.append({"variant": rival.name, "skipped": text})
        else:
            found.append((rival, place, text))
    return found, skipped
