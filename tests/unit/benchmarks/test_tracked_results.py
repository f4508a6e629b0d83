"""No benchmark touches benchmarks/results unless it is told to --publish; the fixture `tracked_results` checks it."""

import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from integration.analyze_videos import write_squares

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
NO_BENCHMARKS = {"suite", "render"}
"""They run the others, and make their reports again."""
SCRIPTS = sorted({path.stem for path in BENCHMARKS.glob("[!_]*.py")} - NO_BENCHMARKS)
ELSEWHERE = {
    "accuracy",
    "analyze",
    "archive_scaling",
    "cameras",
    "cameras_on_triton",
    "install",
    "rivals",
    "runtimes",
    "soak",
    "startup",
    "training",
}
"""Run by the tests of their own names."""
NOT_RUN = {"agreement", "baseline", "crop_margin", "latency", "quality", "shared_memory", "tracking"}
"""They need FER2013, every artifact, Triton, videos of people, or minutes: only their options are tested here."""


@pytest.fixture
def clip(tmp_path):
    return write_squares(tmp_path / "a.mp4", 5)


def command(name: str):
    return importlib.import_module(name).main


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_has_both_options_and_says_where_results_go(name):
    flags = {flag for parameter in command(name).params for flag in parameter.opts}
    assert {"--out", "--publish", "--compare"} <= flags
    text = CliRunner().invoke(command(name), ["--help"]).output
    assert "benchmarks/results" in text
    assert "--publish" in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_path_among_the_tracked_results_is_refused(name, tmp_path):
    out = BENCHMARKS / "results" / "machine" / f"{name}.md"
    done = CliRunner().invoke(command(name), ["--out", str(out)])
    assert done.exit_code == 2
    assert "is among the published results. Fix: --publish writes there; or another --out" in done.output


def run(name: str, *flags: object) -> None:
    done = CliRunner().invoke(command(name), list(map(str, flags)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "written: " in done.output


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*/*.*"))


def test_outputs(unpublished, clip):
    run("outputs", "--clip", clip, "--frames", 3, "--rounds", 1)
    assert written(unpublished) == ["outputs.json", "outputs.md"]


def test_fps(unpublished, clip, tmp_path, monkeypatch):
    (tmp_path / "yunet.onnx").touch()
    one = {"frames": 9, "faces": 9, "fps": 10.0, "cpu_ms_per_frame": 1.0, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}
    monkeypatch.setattr("fps.measure", lambda request: dict(one))
    run("fps", "--clip", clip, "--yunet", tmp_path / "yunet.onnx", "--checkpoint", clip, "--rounds", 1)
    assert written(unpublished) == ["fps.json", "fps.md", "fps.png"]


@pytest.mark.usefixtures("shared_dir")
def test_detectors(unpublished):
    run("detectors", "--rounds", 1, "--every", 60)
    assert written(unpublished) == ["detectors.json", "detectors.md"]


def test_every_benchmark_is_run_here_or_elsewhere_or_named():
    here = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(SCRIPTS) == (here & set(SCRIPTS)) | ELSEWHERE | NOT_RUN
