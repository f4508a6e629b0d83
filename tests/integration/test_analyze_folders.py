"""What lies in a video's folder already: results, and files of somebody else."""

from pathlib import Path

import pytest
from integration.analyze_videos import make_analysis, make_config, make_models, stop_after_segments, write_squares

from fer_deploy.analyze.parts import Parts
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.result_files import EXPORTS, RESULTS
from fer_deploy.analyze.video_analysis import VideoAnalysis
from fer_deploy.errors import ConfigError

LINKS = {"link.mp4": Path.symlink_to, "hard.mp4": Path.hardlink_to}


@pytest.fixture
def video(tmp_path):
    return write_squares(tmp_path / "squares.mp4", 30)


@pytest.mark.parametrize("name", ["annotated.mp4", "annotated.1.part.mp4", "parts/000000.mp4", "link.mp4", "hard.mp4"])
def test_a_video_that_is_a_result(tmp_path, name):
    folder = tmp_path / "out"
    (folder / "parts").mkdir(parents=True)
    video = write_squares(folder / ("annotated.mp4" if name in LINKS else name), 3)
    if name in LINKS:
        LINKS[name](tmp_path / name, video)
        video = tmp_path / name
    before = video.read_bytes()
    analysis = VideoAnalysis(video, folder, make_config(tmp_path), make_models(tmp_path / "e"), AnalysisProgress())
    with pytest.raises(ConfigError, match=r"would be overwritten: its analysis writes .*Fix: another --out"):
        analysis.run(restart=True)
    assert video.read_bytes() == before


def test_files_of_somebody_else_stay(video, tmp_path):
    folder = tmp_path / "out/squares"
    foreign = [folder / name for name in ("mine.part.txt", "mine.7.part.csv", "parts/notes.txt", "parts/a/b.txt")]
    stop_after_segments(video, tmp_path / "out", 1)
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (folder / "annotated.7.part.mp4").touch()
    assert make_analysis(video, tmp_path / "out").run(restart=True) is not None
    assert [path.read_text() for path in foreign] == ["mine"] * 4
    written = set(RESULTS) - set(EXPORTS)
    assert {path.name for path in folder.iterdir()} == {*written, *(path.name for path in foreign[:2]), "parts"}


@pytest.mark.parametrize("restart", [False, True])
def test_results_of_somebody_else(video, tmp_path, restart):
    report = tmp_path / "out/squares/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("mine")
    with pytest.raises(ConfigError, match=r"has report.html, but neither .* Fix: another --out"):
        make_analysis(video, tmp_path / "out").run(restart=restart)
    assert [path.read_text() for path in report.parent.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made(video, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot write into .*squares: .*out is a file, .* Fix: another --out"):
        make_analysis(video, tmp_path / "out").run()


@pytest.fixture
def killed_before_the_parts_went(video, tmp_path, monkeypatch):
    """The summary is written, and parts/ is still there."""
    monkeypatch.setattr(Parts, "remove", lambda self: None)
    make_analysis(video, tmp_path / "out").run()
    monkeypatch.undo()
    parts = Parts(tmp_path / "out/squares/parts")
    assert parts.path(0, "csv").exists()
    return parts


def test_parts_of_a_finished_analysis_go(killed_before_the_parts_went, video, tmp_path):
    assert make_analysis(video, tmp_path / "out").run() is not None
    assert not killed_before_the_parts_went.folder.exists()


def test_parts_of_a_finished_analysis_stay_while_another_holds_them(killed_before_the_parts_went, video, tmp_path):
    with killed_before_the_parts_went as parts:
        assert make_analysis(video, tmp_path / "out").run() is not None
        assert parts.path(0, "csv").exists()
