"""The built wheel in an empty environment, outside of the repository: what a user of `pip install` has."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import cv2
import pytest

from fer_deploy.live.sources.synthetic import SyntheticSource

REPO = Path(__file__).parents[2]
SOURCES = ("fer_train", "fer_deploy", "pyproject.toml", "README.md", "LICENSE")
NO_INDEX = ("No matching distribution found", "Could not find a version", "Temporary failure in name resolution")
pytestmark = pytest.mark.slow


class Installed:
    """An environment that holds the wheel with its extra `cpu`, and an empty folder to work in."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.wheel = wheel
        self.python = folder / "venv" / "bin" / "python"
        self.work = folder / "work"
        self.work.mkdir()
        self._home = folder / "home"
        self._home.mkdir()
        venv.create(folder / "venv", with_pip=True)

    def run(self, *command: str | Path) -> str:
        """Run a program of the environment in the empty folder, without what this process's environment names."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FER_", "VIRTUAL_"))
        }
        program, *args = map(str, command)
        line = [str(self.python.with_name(program)), *args]
        environment = kept | {"HOME": str(self._home), "XDG_CACHE_HOME": str(self._home / "cache")}
        done = subprocess.run(line, cwd=self.work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def pip(python: str | Path, *args: str | Path) -> None:
    """Run pip without PYTHONPATH, which would make it see packages elsewhere; skip where no index answers."""
    command = [str(python), "-m", "pip", *map(str, args), "--quiet", "--disable-pip-version-check", "--retries", "1"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=REPO.anchor, env=env, capture_output=True, text=True, check=False)
    if done.returncode and any(words in done.stderr for words in NO_INDEX):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: setuptools would leave a folder `build` in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, source / name, ignore=ignored)
        else:
            shutil.copy(REPO / name, source / name)
    shutil.copytree(REPO / "tests", source / "tests", ignore=ignored)  # it is there, and must not get in
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Installed:
    environment = Installed(tmp_path_factory.mktemp("user"), wheel)
    pip(
        environment.python,
        "install",
        "--no-compile",
        "--constraint",
        REPO / "constraints.txt",
        f"fer-toolchain[cpu] @ {wheel.as_uri()}",
    )
    return environment


@pytest.fixture(scope="module")
def face(installed) -> Path:
    """A picture of two drawn faces in the empty folder."""
    frame = next(SyntheticSource().frames())
    path = installed.work / "faces.png"
    is_encoded, png = cv2.imencode(".png", frame.frame_bgr)
    assert is_encoded
    path.write_bytes(png.tobytes())
    return path


def files_of(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_package_data_are_in_the_wheel_and_tests_are_not(wheel):
    names = files_of(wheel)
    data = [
        path
        for package in ("fer_deploy", "fer_train")
        for path in (REPO / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert len(data) > 10
    assert {path.relative_to(REPO).as_posix() for path in data} <= names
    assert {"fer_deploy/py.typed", "fer_train/py.typed", "fer_deploy/live/serve/page/index.html"} <= names
    assert "fer_deploy/models/senet-ferplus-int8-cpu.onnx" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"fer_deploy", "fer_train", "fer_toolchain"}
    assert not [
        name for name in names if Path(name).name.startswith(("test_", "conftest")) or "tests" in Path(name).parts
    ]


def test_only_the_wheel_is_imported(installed):
    script = "import fer_deploy, fer_train; print(fer_deploy.__file__); print(fer_train.__file__)"
    for path in installed.run("python", "-c", script).splitlines():
        assert Path(path).is_relative_to(installed.python.parents[1]), path


def test_doctor(installed):
    found = json.loads(installed.run("fer-deploy", "doctor", "--json"))
    assert found["abilities"][0] == {"name": ".onnx on the CPU", "works": True, "why": "", "fix": ""}
    assert found["telemetry"] == "off"
    assert "torch" not in found["packages"]
    missing = {extra["name"]: extra["missing"] for extra in found["extras"]}
    assert (missing["cpu"], missing["table"], missing["serve"]) == ([], ["pyarrow"], ["aiohttp", "prometheus-client"])


def test_live(installed):
    flags = ("--source", "synthetic", "--max-frames", "20", "--no-display", "--json")
    report = json.loads(installed.run("fer-deploy", "live", *flags))
    assert (report["num_frames"], report["num_dropped"], report["detector"]) == (20, 0, "Haar")
    assert report["num_faces"] > 20


def test_image(installed, face):
    result = json.loads(installed.run("fer-deploy", "image", face.name, "--json"))
    assert result["name"] == "faces.png"
    assert len(result["faces"]) == 2


def test_help_without_torch(installed):
    assert "Examples:" in installed.run("fer-train", "train", "--help")


API = """
import json, sys
from fer_deploy import Recognizer

recognizer = Recognizer()
faces = recognizer.analyze("faces.png")
first = faces[0]
import numpy as np
crops = np.zeros((3, 48, 48), dtype=np.uint8)
probs = recognizer.classify(crops)
image = np.full((360, 640, 3), 127, dtype=np.uint8)
mine = recognizer.analyze(image, boxes=[(10, 10, 100, 100), (200, 50, 300, 150)])
frames = []
for result in recognizer.stream("synthetic"):
    frames.append(result.frame.index)
    if len(frames) == 3:
        break
recognizer.close()
box = lambda face: [face.box.x1, face.box.y1, face.box.x2, face.box.y2]
print(json.dumps({
    "faces": len(faces), "label": first.label, "best": first.probs.labels[first.probs.argmax()],
    "confidence": bool(first.confidence == first.probs.max()), "sum": round(float(first.probs.sum()), 4),
    "shape": list(probs.shape), "labels": list(probs.labels), "sums": [round(float(row.sum()), 4) for row in probs],
    "boxes": [box(face) for face in mine], "frames": frames, "torch": "torch" in sys.modules,
}))
"""


def test_the_five_lines_of_python(installed, face):
    assert face.is_file()
    found = json.loads(installed.run("python", "-c", API))
    assert found.pop("label") == found.pop("best")
    labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"]
    assert sorted(found.pop("labels")) == sorted(labels)
    assert found == {
        "faces": 2,
        "confidence": True,
        "sum": 1.0,
        "shape": [3, 8],
        "sums": [1.0, 1.0, 1.0],
        "boxes": [[10, 10, 100, 100], [200, 50, 300, 150]],
        "frames": [0, 1, 2],
        "torch": False,
    }
