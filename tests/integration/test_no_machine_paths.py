"""What a small run of each program writes names no folder of the machine, though its inputs were given by full path."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner
from integration.analyze_videos import write_squares
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config, write_csv

from fer_deploy.cli import main as deploy
from fer_train.cli import main as train

Where = SimpleNamespace
_DRIVE = re.compile(rb"(?<![\w.])[A-Za-z]:\\\\?[\w.-]+\\")


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> Where:
    """Folders: `far` holds inputs outside of `here`, in which the programs run."""
    root = tmp_path_factory.mktemp("home-of-bob")
    found = Where(root=root, far=root / "far", here=root / "here")
    found.far.mkdir()
    found.here.mkdir()
    return found


@pytest.fixture(scope="module")
def written(where) -> Path:
    """The folder with what train, release, evaluate, audit, ensemble, soup, export and analyze wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where.here)
        patch.setattr("fer_train.models.net.STAGE_CHANNELS", NARROW_CHANNELS)
        patch.setattr("fer_train.evaluation.plots.plot_history", lambda *_: None)  # takes longer than the run
        patch.setattr("fer_train.training.session._plot_final", lambda *_: None)
        patch.setattr("fer_deploy.export.verify.preparation.portrait_faces", _few_faces())
        _train(where.far, _runner(train))
        _deploy(where.far, where.here, _runner(deploy))
    return where.here


def _few_faces() -> Callable[..., object]:
    from fer_deploy.export.verify.portrait import portrait_faces  # noqa: PLC0415

    return lambda spec: portrait_faces(spec)[::27]


def _runner(main: object) -> Callable[..., str]:
    def run(*words: object) -> str:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout

    return run


def _train(far: Path, run: Callable[..., str]) -> None:
    data = write_csv(far / "fer2013.csv", make_faces())
    (far / "rows.txt").write_text("3\n4\n")
    plain = far / "plain.yaml"
    plain.write_text(yaml.safe_dump(tiny_config(num_epochs=1).model_dump(mode="json")))
    flags = ("--config", plain, "--data", data, "--exclude", far / "rows.txt", "--no-tensorboard")
    run("train", *flags, "--out", far / "first")
    best = far / "first" / "best.safetensors"
    run("train", *flags, "--init", best, "--epochs", 1, "--out", "runs/second")
    run(
        "distill",
        *flags,
        "--teacher",
        best,
        "--teacher",
        Path.cwd() / "runs/second/final.safetensors",
        "--out",
        "runs/third",
    )
    run("release", "--checkpoint", "runs/third/final.safetensors", "--data", data, "--out", "weights/net.safetensors")
    measured = run("evaluate", "--checkpoint", Path.cwd() / "weights/net.safetensors", "--data", data, "--json")
    Path("evaluation.json").write_text(measured)
    both = ("--checkpoint", best, "--checkpoint", "weights/net.safetensors", "--data", data)
    run("ensemble", *both, "--weighting", "equal", "--out", "weights/both.json")
    run("audit", "--data", data, "--out", "audit")


def _deploy(far: Path, here: Path, run: Callable[..., str]) -> None:
    run("export", "--checkpoint", here / "weights/net.safetensors", "--out", "artifacts")
    video = write_squares(far / "clip.mp4", 12)
    run("analyze", video, "--out", "results", "--engine", here / "artifacts/net-fp32.onnx", "--detector", "haar")


def test_no_folder_of_the_machine(written, where, repo_dir):
    own = [str(path).encode() for path in (where.root, repo_dir, Path.home()) if len(path.parts) > 2]
    files = [path for path in written.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert {".safetensors", ".md", ".json", ".onnx", ".html", ".png", ".mp4", ".yaml", ".csv", ".parquet"} <= kinds
    given = {"config.yaml", "last.pt"}  # what the command needs to go on; the next test has them
    found = [
        str(path.relative_to(written))
        for path in files
        if path.name not in given
        and (any(folder in path.read_bytes() for folder in own) or _DRIVE.search(path.read_bytes()))
    ]
    assert found == []


def test_the_config_names_what_lies_below_from_here(written):
    teachers = yaml.safe_load((written / "runs/third/config.yaml").read_text())["distillation"]["teachers"]
    assert teachers[1] == "runs/second/final.safetensors"


def test_names_and_digests_are_left(written):
    spec = json.loads((written / "artifacts/report.json").read_text())
    assert spec["checkpoint"]["name"] == "net.safetensors"
    assert json.loads((written / "evaluation.json").read_text())["checkpoint"] == "weights/net.safetensors"
    assert json.loads((written / "results/clip/summary.json").read_text())["video"] == "clip.mp4"
    card = (written / "weights/net.md").read_text()
    assert "taught by `best.safetensors` (net, weight 0.5), SHA-256 `" in card
    assert "`--exclude rows.txt` names 2 rows of Training" in card


def test_the_page_of_failures_names_files_only(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    broken = tmp_path / "home-of-bob" / "broken.mp4"
    broken.parent.mkdir()
    broken.write_bytes(b"no video")
    clip = write_squares(tmp_path / "home-of-bob" / "clip.mp4", 3)
    words = ["analyze", str(broken), str(clip), "--out", "results", "--detector", "haar", "--no-video"]
    assert CliRunner().invoke(deploy, words).exit_code == 8
    page = Path("results/index.html").read_text()
    assert "broken.mp4" in page
    assert "home-of-bob" not in page
