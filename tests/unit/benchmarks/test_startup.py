import json
import os
from pathlib import Path

import click
import cv2
import pytest
import startup
from click.testing import CliRunner
from harness.clips import clips_at_hand, read_clip
from harness.measuring import shared_yunet
from integration.analyze_videos import write_squares
from startup import BOUND, Run, empty_file_cache, imports_of, measure, measures_of, rows_of, run_once


def test_a_run_has_the_first_line_the_end_and_the_cpu_time_of_its_children():
    child = "import time\nwhile time.process_time() < 0.2: pass"
    code = f"import subprocess, sys; print(1, flush=True); subprocess.run([sys.executable, '-c', {child!r}]); print(2)"
    run = run_once("one", ["-c", code], os.environ)
    assert 0 < run.first_ms < run.exit_ms
    assert run.cpu_ms >= 200


@pytest.mark.parametrize("code", ["import sys; sys.exit('broken: why')", "print('a'); raise SystemExit('broken: why')"])
def test_a_run_that_fails_is_named_with_its_words(code):
    with pytest.raises(click.ClickException, match=r"one ended with exit code 1: broken: why"):
        run_once("one", ["-c", code], os.environ)


def test_a_run_without_a_result_is_a_failure():
    with pytest.raises(click.ClickException, match="one ended with exit code 0"):
        run_once("one", ["-c", "pass"], os.environ)


def test_imports_are_counted_by_package(tmp_path):
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("import time; time.sleep(0.03); import heavy.part")
    (tmp_path / "heavy" / "part.py").write_text("import time; time.sleep(0.03)")
    share, packages = imports_of(["-c", "import heavy"], os.environ | {"PYTHONPATH": str(tmp_path)})
    assert 0 < share <= 1
    assert packages["heavy"] >= 60
    assert "heavy.part" not in packages
    assert list(packages.values()) == sorted(packages.values(), reverse=True)


def test_commands_alternate_and_the_first_round_does_not_count(monkeypatch):
    seen = []

    def run(name, arguments, env):
        seen.append(name)
        return Run(len(seen), 0, 0)

    monkeypatch.setattr(startup, "run_once", run)
    emptied = []
    runs = measure({"a": [], "b": []}, {}, rounds=2, before=lambda: emptied.append(len(seen)))
    assert "".join(seen) == "ababab"
    assert emptied == [0, 1, 2, 3, 4, 5]
    assert {name: [run.first_ms for run in found] for name, found in runs.items()} == {"a": [3, 5], "b": [4, 6]}


def test_rows_compare_with_the_bound_of_the_same_round():
    runs = {
        BOUND: [Run(100, 110, 50), Run(200, 210, 50), Run(400, 410, 50)],
        "ours": [Run(300, 310, 150), Run(400, 410, 100), Run(2000, 2010, 100)],
    }
    ours = rows_of(runs, dict.fromkeys(runs, (0.5, {"cv2": 9.0})))[1]
    assert (ours["first_ms"], ours["first_range_ms"]) == (400, [300, 2000])
    assert (ours["over_bound"], ours["cpu_over_bound"]) == (3, 2)


def test_what_two_runs_compare():
    runs = {
        BOUND: [Run(100, 110, 50), Run(200, 210, 50), Run(400, 410, 50)],
        "ours": [Run(300, 310, 150), Run(400, 410, 100), Run(2000, 2010, 100)],
    }
    found = {one.name: one for one in measures_of(runs)}
    assert f"{BOUND}: first line, times the bound" not in found
    ratio = found["ours: first line, times the bound"]
    assert (ratio.value, ratio.low, ratio.high, ratio.is_ratio, ratio.better) == (3, 2, 5, True, "lower")
    assert (found["ours: CPU, times the bound"].value, found["ours: CPU in ms"].value) == (2, 100)
    assert not found["ours: first line in ms"].is_ratio


def test_file_cache_is_emptied_or_the_reason_is_told(tmp_path):
    assert empty_file_cache(tmp_path / "switch") == ""
    assert (tmp_path / "switch").read_text() == "3"
    assert empty_file_cache(tmp_path) == "the file cache cannot be emptied: Is a directory"


@pytest.mark.parametrize(
    ("flags", "words"), [([], "Files: in the cache, warm."), (["--cold"], "cannot be emptied: no.")]
)
def test_command(unpublished, tmp_path, monkeypatch, flags, words):
    (tmp_path / "yunet.onnx").touch()
    ran = {}

    def run(name, arguments, env):
        ran[name] = (arguments, env)
        return Run(10.0, 20.0, 5.0)

    monkeypatch.setattr(startup, "run_once", run)
    monkeypatch.setattr(startup, "imports_of", lambda *_: (0.5, {"cv2": 9.0, "numpy": 4.0}))
    monkeypatch.setattr(startup, "empty_file_cache", lambda: "the file cache cannot be emptied: no")
    clip = write_squares(tmp_path / "a.mp4", 3)
    options = ["--clip", str(clip), "--yunet", str(tmp_path / "yunet.onnx"), "--rounds", "1", *flags]
    done = CliRunner().invoke(startup.main, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    [path] = unpublished.glob("*/*/startup.json")
    again = CliRunner().invoke(startup.main, [*options, "--compare", str(path)], catch_exceptions=False)
    assert "0 of 26 figures changed beyond noise" in again.output
    rows = json.loads(path.read_text())["results"]
    assert [row["command"] for row in rows] == list(ran)
    text = path.with_suffix(".md").read_text()
    assert "| fer-deploy image | 10 | 10, 10 | 20 | 5 | 1.00, 1.00 | 50% | cv2 9, numpy 4 |" in text
    assert words in text
    arguments, env = ran["fer-deploy live, a clip"]
    assert str(clip) in arguments
    assert env["FER_YUNET"] == str(tmp_path / "yunet.onnx")
    assert Path(env["PYTHONPATH"]) == Path(startup.__file__).parents[1]


@pytest.mark.usefixtures("shared_dir")
@pytest.mark.parametrize("name", ["fer-deploy live, a clip", "fer-deploy image", "Recognizer().analyze"])
def test_commands_give_results(tmp_path, name):
    clip = clips_at_hand()[0]
    cv2.imwrite(str(tmp_path / "a.png"), next(read_clip(clip)))
    env = os.environ | {"FER_YUNET": str(shared_yunet()), "PYTHONPATH": str(startup.ROOT)}
    run = run_once(name, startup.commands(clip, tmp_path / "a.png")[name], env)
    assert run.first_ms > 0
