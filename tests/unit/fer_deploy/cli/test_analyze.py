"""The command: from flags to exit codes; pace and lines."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from integration.analyze_videos import SquareDetector, write_squares
from rich.console import Console

from fer_deploy.analyze import models
from fer_deploy.analyze.parts import Parts
from fer_deploy.cli import main
from fer_deploy.cli.terminal import analyze_progress
from fer_deploy.cli.terminal.analyze_progress import Pace, ProgressDisplay
from fer_deploy.engines import bundled_model_for
from fer_deploy.engines import config as engine_config
from fer_deploy.engines.fake import FakeEngine


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(engine_config, "open_engine", lambda path, **options: FakeEngine())
    monkeypatch.setattr(models, "build_detectors", lambda config: SquareDetector)


def run(*args):
    return CliRunner().invoke(main, ["analyze", *map(str, args)])


def analyze(tmp_path, *args):
    return run(*args, "--out", tmp_path / "out", "--detector", "haar", "--no-video", "--segment-frames", "24")


def test_one_video(tmp_path):
    result = analyze(tmp_path, write_squares(tmp_path / "a.mp4", 30))
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[:2] == [
        f"engine: {bundled_model_for('auto').name}, fake; its ModelSpec does not say whose labels it learned",
        "detector: Haar",
    ]
    assert result.stderr.splitlines()[-1] == "a.mp4: joining parts, writing the report"
    assert f"a.mp4: 30 frames, 60 faces, 2 people: {tmp_path}/out/a/report.html" in result.stdout
    assert json.loads((tmp_path / "out/a/summary.json").read_text())["detector"] == "Haar"
    assert "fake · Haar</p>" in (tmp_path / "out/a/report.html").read_text()


def test_a_bad_one_among_several(tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    result = analyze(tmp_path, tmp_path / "bad.mp4", write_squares(tmp_path / "a.mp4", 30))
    assert result.exit_code == 8
    assert "bad.mp4: failed: cannot open the file as a video" in result.stderr
    assert "a.mp4: 30 frames" in result.stdout
    assert f"error: 1 of 2 videos could not be analyzed: {tmp_path}/bad.mp4. Fix: see above and " in result.stderr
    assert f" and {tmp_path}/out/index.html for the reasons, then give the same command again\n" in result.stderr


def test_all_are_bad(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("no video")
    result = analyze(tmp_path, tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert result.exit_code == 8
    assert "2 of 2 videos could not be analyzed" in result.stderr
    assert "Fix: see above for the reasons, then give the same command again" in result.stderr


@pytest.mark.parametrize("name", ["talk [final].mp4", "[", "[/b]", "[red]"])
def test_brackets_in_names_are_no_markup(tmp_path, name):
    bad = (tmp_path / name).with_suffix(".avi")
    bad.parent.mkdir(exist_ok=True)  # in "[/b]" a folder's name opens what a file's closes
    bad.write_text("no video")
    good = write_squares(tmp_path / f"{name.removesuffix('.mp4')} 2.mp4", 30)
    result = analyze(tmp_path, bad, good)
    assert result.exit_code == 8, result.output
    assert f"{bad}: failed: cannot open the file as a video" in result.stderr
    assert f"{good.name}: joining parts, writing the report" in result.stderr


@pytest.mark.parametrize("name", ["talk [final].mp4", "[/b].mp4"])
def test_the_bar_shows_brackets_in_names(name):
    text = io.StringIO()
    with ProgressDisplay(Console(file=text, force_terminal=True, width=120)) as display:
        display.begin(name, num_done=0, num_announced=10)
        display.advance(5, 5)
    assert name in text.getvalue()


def test_a_bad_one_alone(tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    result = analyze(tmp_path, tmp_path / "bad.mp4")
    assert result.exit_code == 8
    assert "error: cannot open the file as a video" in result.stderr
    assert result.output.count("cannot open the file as a video") == 1


def test_one_of_everything(tmp_path):
    result = analyze(tmp_path, write_squares(tmp_path / "a.mp4", 1, squares=1))
    assert result.exit_code == 0, result.output
    assert "a.mp4: 1 frame, 1 face, 0 people, 1 passer-by: " in result.stdout


def test_the_page_of_all_is_told(tmp_path):
    videos = [write_squares(tmp_path / f"{name}.mp4", 3) for name in "ab"]
    assert f"all: {tmp_path}/out/index.html\n" in analyze(tmp_path, *videos).stdout


def test_a_folder(tmp_path):
    result = analyze(tmp_path, tmp_path)
    assert result.exit_code == 8
    assert f"error: {tmp_path} is a folder, expected a video. Fix: fer-deploy analyze {tmp_path}/*.mp4" in result.stderr


@pytest.mark.parametrize("source", ["0", "12", "-", "synthetic"])
def test_what_only_live_takes(tmp_path, source):
    result = analyze(tmp_path, source)
    assert result.exit_code == 8
    assert f"cannot read the video {source}: No such file or directory. Fix: fer-deploy live --source {source}\n" in (
        result.stderr
    )


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").touch()
    result = analyze(tmp_path, tmp_path / "a.mp4")
    assert result.exit_code == 2
    assert f"cannot write into {tmp_path}/out: {tmp_path}/out is a file, expected a folder. Fix: another --out" in (
        result.stderr
    )


def test_other_settings_are_told_by_their_flags(tmp_path):
    video = write_squares(tmp_path / "a.mp4", 6)
    assert analyze(tmp_path, video).exit_code == 0
    result = analyze(tmp_path, video, "--min-face", "40", "--smoothing", "2")
    assert result.exit_code == 2
    assert "this run has --min-face 40 instead of unset, --smoothing 2.0 instead of 0.25" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_whole_segments(tmp_path, monkeypatch, number):
    video = write_squares(tmp_path / "a.mp4", 60)
    save = Parts.sync

    def sync(self, segment):
        save(self, segment)
        if segment == 0:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Parts, "sync", sync)
    monkeypatch.setattr("sys.argv", ["/usr/bin/__main__.py", "analyze", "--restart", "a b.mp4"])
    result = analyze(tmp_path, video)
    assert result.exit_code == 128 + number
    assert result.stderr.splitlines()[-1] == "stopped: 24 frames are kept. To go on: fer-deploy analyze 'a b.mp4'"
    monkeypatch.undo()


def test_missing_packages_show_before_the_work(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError("No module named 'matplotlib'")

    monkeypatch.setattr("fer_deploy.analyze.video_analysis.import_module", missing)
    result = analyze(tmp_path, tmp_path / "absent.mp4")
    assert result.exit_code == 3
    assert "analyzing needs the extra analyze: No module named 'matplotlib'. Fix: pip install" in result.stderr


def test_the_base_install_says_which_extra_is_missing(tmp_path):
    """The command loads without the packages of the extra, in a process where none of them was imported before."""
    script = (
        "import sys\nfor name in ('pyarrow', 'matplotlib', 'jinja2'): sys.modules[name] = None\n"
        "from fer_deploy.cli import main\nmain()\n"
    )
    arguments = ["analyze", str(tmp_path / "absent.mp4"), "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "analyzing needs the extra analyze: " in done.stderr
    assert "Fix: pip install 'fer-toolchain[analyze]'" in done.stderr


@pytest.mark.parametrize("address", ["rtsp://bob:geheim@h/1", "rtsp:/bob:geheim@h/1", "rtsp//bob:geheim@h/1"])
def test_an_address_is_refused_without_its_password(tmp_path, address):
    result = analyze(tmp_path, address)
    assert result.exit_code == 2
    assert "***@h/1: an address, expected files. Fix: fer-deploy live --source URL" in result.stderr
    assert "geheim" not in result.output


def test_no_out(tmp_path):
    result = run(tmp_path / "a.mp4")
    assert result.exit_code == 2
    assert "--out is missing. Fix: give --out" in result.stderr


class TestPace:
    def test_frames_that_workers_had_done_before_are_no_speed(self):
        pace = Pace(0, 10.0)
        pace.note(52, 10.00006)
        assert pace.fps == 0
        assert pace.left_s(56) is None

    def test_frames_a_second_and_what_is_left(self):
        pace = Pace(100, 0.0)
        pace.note(200, 10.0)
        assert pace.fps == 10
        assert pace.left_s(500) == 30
        assert pace.left_s(None) is None
        assert pace.left_s(150) is None

    def test_only_the_last_half_minute_counts(self):
        pace = Pace(0, 0.0)
        for second in range(1, 101):
            pace.note(10 * second if second <= 50 else 500 + 20 * (second - 50), float(second))
        assert pace.fps == 20

    def test_before_the_first_mark(self):
        assert (Pace(0, 0.0).fps, Pace(0, 0.0).left_s(10)) == (0, None)


def test_lines_without_a_terminal(monkeypatch):
    now = iter([0.0, 0.0, 0.0, 1.0, 1.0, 20.0, 20.0, 20.1, 20.1])
    monkeypatch.setattr(analyze_progress.time, "monotonic", lambda: next(now))
    text = io.StringIO()
    display = ProgressDisplay(Console(file=text, width=200))
    display.begin("a.mp4", num_done=0, num_announced=1000)
    display.advance(0, 0)  # a short video has no such line
    display.advance(200, 300)
    display.advance(201, 301)
    assert text.getvalue() == "a.mp4: 20%, 200 of 1,000 frames, 10 frames/s, 1:20 left, 300 faces\n"
