"""Tests for fer-deploy archive: what it prints and its exit codes. The whole path is in integration/test_archive.py."""

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from integration.analyze_videos import write_squares

from fer_deploy.archive.estimate import Sample, estimate
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.cli import main
from fer_deploy.cli.archive import money_text, number_text
from fer_deploy.cli.archive import run as run_command
from fer_deploy.cli.archive.plan import echo_estimate


def run(*args: object):
    return CliRunner().invoke(main, ["archive", *map(str, args)])


@pytest.fixture
def film(tmp_path):
    return write_squares(tmp_path / "film.mp4", 30)


@pytest.fixture
def out(film, tmp_path):
    """Plan one film and a file that is none."""
    (tmp_path / "none.mp4").write_bytes(b"no video")
    planned = run("plan", film, tmp_path / "none.mp4", "--out", tmp_path / "out", "--pilot", 0, "--detector", "haar")
    assert planned.exit_code == 0, planned.output
    assert f"{tmp_path / 'out'}: 1 video with 30 frames (0:01) in 1 segment, 1 other file" in planned.stdout
    assert "detector: Haar" in planned.stderr
    assert "none.mp4: cannot open the file as a video" in planned.stderr
    return tmp_path / "out"


def test_dead_letters_end_with_a_code_and_what_to_do(film, out, monkeypatch):
    monkeypatch.setattr(run_command, "ArchiveRun", partial(ArchiveRun, back_off_s=0))
    film.write_bytes(film.read_bytes() + b"longer")
    done = run("run", out)
    assert done.exit_code == 8
    assert f"1 segment given up after three tries. Fix: see the reasons in {out}/dead_letters.jsonl, " in done.stderr
    (letter,) = [json.loads(line) for line in (out / "dead_letters.jsonl").read_text().splitlines()]
    assert (letter["kind"], letter["segment"], len(letter["attempts"])) == ("read", 0, 3)
    assert "detector: Haar" in done.stderr
    assert "film.mp4 has changed since archive plan" in done.stderr
    said = run("status", out, "--json")
    assert said.exit_code == run("status", out).exit_code == 8
    assert "1 segment given up after three tries. Fix: see the reasons in" in said.stderr
    now = json.loads(said.stdout)
    assert (now["num_dead"], now["num_missing"], now["dead_by_kind"]) == (1, 0, {"read": 1})
    assert now["money"] is None
    assert json.loads(run("status", out, "--json", "--price-per-core-hour", 2).stdout)["money"] == 0
    assert "given up: 1 read" in run("status", out).stdout
    joined = run("join", out)
    assert "segment 0 was given up" in joined.stderr
    fix = f"Fix: correct the causes in {out}/dead_letters.jsonl, then fer-deploy archive retry {out}, "
    assert fix in joined.stderr
    assert run("retry", out, "--only", "memory").stdout == "no segment was given up with memory; given up: 1 read\n"
    assert run("retry", out).stdout.startswith("1 segment will be tried again: fer-deploy archive run")
    assert not (out / "dead_letters.jsonl").exists()
    assert "Fix: one of them at a time" in run("retry", out, "--only", "memory", "--damaged").stderr
    assert run("retry", out, "--only", "memory").stdout == "no segment was given up with memory; none at all\n"
    said = run("status", out / "manifest.parquet")  # as good as its folder
    assert (said.exit_code, "1 missing, 0 given up" in said.stdout) == (0, True)
    joined = run("join", out)
    assert (joined.exit_code, "no video of" in joined.stderr) == (8, True)
    assert "segment 0 is missing" in joined.stderr
    assert f"Fix: fer-deploy archive run {out}, then fer-deploy archive join {out}" in joined.stderr
    assert run("verify", out).exit_code == 2


def test_another_model_or_setting_is_refused(film, out, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another model")
    done = run("run", out, "--engine", other)
    assert done.exit_code == 2
    assert "the manifest is of another analysis; this run has another --engine. Fix: the model senet" in done.stderr
    again = run("plan", film, "--out", out, "--pilot", 0, "--detector", "haar", "--smoothing", 1)
    assert again.exit_code == 2
    assert "this run has --smoothing 1.0 instead of 0.25" in again.stderr


def test_the_detector_of_the_plan_stays_whatever_file_is_here(film, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("FER_YUNET", raising=False)
    monkeypatch.setattr(run_command, "ArchiveRun", partial(ArchiveRun, back_off_s=0))
    out = tmp_path / "out"
    planned = run("plan", film, "--out", out, "--pilot", 0)
    assert "detector: Haar, which misses turned and small faces" in planned.stderr
    (tmp_path / "other.onnx").write_bytes(b"a detector")
    monkeypatch.setenv("FER_YUNET", str(tmp_path / "other.onnx"))
    second = run("plan", write_squares(tmp_path / "second.mp4", 24), "--out", out, "--pilot", 0)
    assert (second.exit_code, "detector: Haar\n" in second.stderr) == (0, True), second.output
    for path in tmp_path.glob("*.mp4"):
        path.write_bytes(b"changed, so that no model is needed")
    done = run("run", out)
    assert (done.exit_code, "detector: Haar\n" in done.stderr) == (8, True), done.output
    asked = run("plan", film, "--out", out, "--pilot", 0, "--detector-model", tmp_path / "other.onnx")
    assert asked.exit_code in (2, 4)
    given = run("run", out, "--detector-model", tmp_path / "other.onnx")
    assert given.exit_code == 2
    assert "the archive was planned with Haar, which has no file. Fix: leave --detector-model out" in given.stderr
    monkeypatch.setenv("FER_ARCHIVE_RUN_DETECTOR_MODEL", str(tmp_path / "other.onnx"))
    assert "Fix: leave FER_ARCHIVE_RUN_DETECTOR_MODEL out" in run("run", out).stderr


def test_a_model_that_is_not_here_is_named(out, tmp_path):
    done = run("run", out, "--engine", tmp_path / "absent.onnx")
    assert done.exit_code == 4
    assert f"no model at {tmp_path / 'absent.onnx'}. Fix: --engine FILE, where senet-ferplus-" in done.stderr


def test_a_list_without_its_sign_leaves_nothing(film, tmp_path):
    names = tmp_path / "list.txt"
    names.write_text(f"{film}\n")
    done = run("plan", names, "--out", tmp_path / "out", "--detector", "haar")
    assert done.exit_code == 8
    assert f"it is text, expected a video; a list of videos is @{names}. Fix: " in done.stderr
    assert not (tmp_path / "out").exists()
    assert run("plan", f"@{names}", "--out", tmp_path / "out", "--detector", "haar", "--pilot", 0).exit_code == 0
    before = sorted((tmp_path / "out").rglob("*"))
    assert run("plan", names, "--out", tmp_path / "out", "--detector", "haar").exit_code == 8
    assert sorted((tmp_path / "out").rglob("*")) == before
    assert "1 video, 0 other files" in run("status", tmp_path / "out").stdout


def test_a_plan_grows(out, tmp_path):
    second = write_squares(tmp_path / "second.mp4", 24)
    done = run("plan", second, "--out", out, "--pilot", 0, "--detector", "haar")
    assert "2 videos with 54 frames" in done.stdout


def beside_a_run(monkeypatch, *args: object) -> list:
    """Give another command when the next run has read the manifest; return a list that gets its result."""
    given = []

    class Slow(ArchiveRun):
        def run(self, **settings):
            monkeypatch.setattr(run_command, "ArchiveRun", ArchiveRun)
            given.append(run(*args))
            return super().run(**settings)

    monkeypatch.setattr(run_command, "ArchiveRun", Slow)
    return given


def test_a_plan_beside_a_run_adds_videos_for_the_next_one(out, tmp_path, monkeypatch):
    second = write_squares(tmp_path / "second.mp4", 24)
    given = beside_a_run(monkeypatch, "plan", second, "--out", out, "--pilot", 0, "--detector", "haar")
    done = run("run", out)
    assert given[0].exit_code == done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "1 segment done; 1 file of the plan cannot be analyzed",
        f"1 video planned meanwhile: fer-deploy archive run {out}",
    ]
    again = run("run", out)
    assert again.stdout.startswith("1 segment done; 1 file of the plan cannot be analyzed\nall segments are done")
    assert "2 videos, 54 frames" in run("join", out).stdout
    assert run("verify", out).exit_code == 0


def test_a_plan_of_another_analysis_beside_a_run_is_refused(film, out, monkeypatch):
    manifest = (out / "manifest.parquet").read_bytes()
    given = beside_a_run(monkeypatch, "plan", film, "--out", out, "--pilot", 0, "--detector", "haar", "--sample-fps", 5)
    done = run("run", out)
    assert (given[0].exit_code, "this run has --sample-fps 5.0 instead of unset" in given[0].stderr) == (2, True)
    assert (done.exit_code, "all segments are done" in done.stdout) == (0, True), done.output
    assert (out / "manifest.parquet").read_bytes() == manifest


def test_a_video_that_is_planned_again_beside_a_run_is_not_mixed(film, out, monkeypatch):
    monkeypatch.setattr(run_command, "ArchiveRun", partial(ArchiveRun, back_off_s=0))
    given = []

    class Slow(ArchiveRun):
        def run(self, **settings):
            write_squares(film, 48)
            given.append(run("plan", film, "--out", out, "--pilot", 0, "--detector", "haar"))
            return super().run(**settings)

    with monkeypatch.context() as slow:
        slow.setattr(run_command, "ArchiveRun", partial(Slow, back_off_s=0))
        done = run("run", out)
    assert (given[0].exit_code, done.exit_code) == (0, 0), done.output
    assert "film.mp4, segment 0: given up (read): " in done.stderr
    assert f"1 video planned meanwhile: fer-deploy archive run {out}" in done.stdout
    assert not (out / "dead_letters.jsonl").exists()  # its plan is not there any more
    assert run("run", out).exit_code == 0
    assert "1 video, 48 frames" in run("join", out).stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["plan", "none.mp4", "--out", "out"], 2, "cannot find none.mp4"),
        (["plan", ".", "--out", "out", "--detect-every", "3"], 2, "Fix: --detect-every 1"),
        (["plan", ".", "--out", "memory://out"], 2, "memory://out is gone when this command ends. Fix: --out FOLDER"),
        (["run", "."], 2, "has no manifest.parquet"),
        (["run", ".", "--shard", "0/3"], 2, "expected I/N with I from 1 to N"),
        (["status", "."], 2, "has no manifest.parquet"),
        (["retry", "."], 2, "has no manifest.parquet"),
        *(
            ([*command, "--price-per-core-hour", price], 2, "is not in the range x>=0")
            for command in (["plan", ".", "--out", "out"], ["status", "."])
            for price in ("nan", "inf", "-1")
        ),
    ],
)
def test_refusals(args, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*args)
    assert (done.exit_code, said in done.stderr) == (code, True), done.output


def test_without_the_extra(monkeypatch):
    import_module = __import__("importlib").import_module

    def absent(name: str, *args: str):
        if name == "fer_deploy.cli.archive.status":
            raise ModuleNotFoundError("No module named 'fsspec'", name="fsspec")
        return import_module(name, *args)

    monkeypatch.setattr("fer_deploy.cli.flags.archive.import_module", absent)
    done = run("status", Path())
    assert done.exit_code == 3
    assert "archive needs fsspec, which is not installed. Fix: pip install 'fer-toolchain[cpu,archive]'" in done.stderr


def test_money():
    assert (money_text(1234.5), money_text(0.01234), money_text(0)) == ("1,234.50", "0.0123", "0")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (12_345.6, "12,346"),
        (999.6, "1,000"),
        (12.345, "12.3"),
        (0.000123, "0.000123"),
        (0.0000114, "under 0.0001"),
        (0, "0"),
    ],
)
def test_numbers_have_no_exponents(number, text):
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("samples", "lines"),
    [
        (
            [Sample(100, 3.6, 5_000_000)],
            [
                "1 segment: 36.0 ms of CPU a frame, 50 MB of observations in all",
                "in all 0.01 core-hours; at 50 a core-hour 0.5",
            ],
        ),
        (
            [Sample(100, 3.6, 5_000_000)] * 2,
            [
                "2 segments: 36.0 ms of CPU a frame (standard deviation between segments 0.0), 50 MB of observations",
                "in all 0.01 core-hours, between 0.01 and 0.01 (two standard errors); at 50 a core-hour 0.5 ± ",
            ],
        ),
    ],
)
def test_an_estimate_has_a_price(samples, lines, capsys):
    echo_estimate(estimate(samples, 1000), 50.0)
    said = capsys.readouterr().out.splitlines()
    assert [before in line for before, line in zip(lines, said, strict=True)] == [True, True], said


def test_samples_but_no_ranges(film, tmp_path):
    (tmp_path / "config.yaml").write_text("start: 0:01\n")
    refused = run("plan", film, "--out", tmp_path / "out", "--config", tmp_path / "config.yaml")
    assert refused.exit_code == 2
    assert "an archive has whole videos. Fix: leave them out of --config, or fer-deploy analyze" in refused.stderr
    planned = run("plan", film, "--out", tmp_path / "out", "--pilot", 0, "--detector", "haar", "--sample-fps", 5)
    assert planned.exit_code == 0, planned.output
    again = run("plan", film, "--out", tmp_path / "out", "--pilot", 0, "--detector", "haar")
    assert "this run has --sample-fps unset instead of 5.0" in again.stderr
