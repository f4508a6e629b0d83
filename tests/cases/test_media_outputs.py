"""The rows of the table "media" about names of outputs, from the command line to the files."""

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cases.media_files import NUM, RATE, scenes, write_film, write_streams
from cases.picture_files import still
from click.testing import CliRunner, Result
from integration.live_fakes import num_video_frames

from fer_deploy.cli import main
from fer_deploy.live.sinks.tables.csv_file import CsvFile
from fer_deploy.live.sinks.unfinished import unfinished_path


def run(command: str, *args: object) -> Result:
    return CliRunner().invoke(main, [command, *map(str, args)])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def live(tiny_onnx, *args: object) -> Result:
    return run("live", "--engine", tiny_onnx, "--detector", "haar", "--no-display", *args)


def rows(path: Path) -> list[dict]:
    if path.suffix == ".parquet":
        with path.open("rb") as file:
            return pq.read_table(file).to_pylist()
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("stamp", ["2026-11-28T12:30:05", "file:x", "-x"])
def test_live_writes_files_of_any_name(here, tiny_onnx, stamp):
    write_film(here / "film.mp4", scenes(NUM, (640, 360)))
    os.replace("film.mp4", f"{stamp}.mp4")
    result = live(
        tiny_onnx,
        f"--source={stamp}.mp4",
        f"--record={stamp}-out.mp4",
        f"--csv={stamp}.csv",
        f"--parquet={stamp}.parquet",
        f"--jsonl={stamp}.jsonl",
        "--json",
    )
    assert result.exit_code == 0, result.output
    num_faces = json.loads(result.stdout)["num_faces"]
    assert num_faces > NUM
    assert num_video_frames(here / f"{stamp}-out.mp4") == NUM
    for suffix in (".csv", ".parquet"):
        assert len(rows(here / f"{stamp}{suffix}")) == num_faces
        assert len(rows(here / f"{stamp}.frames{suffix}")) == NUM
    assert len((here / f"{stamp}.jsonl").read_text().splitlines()) == NUM
    assert not list(here.glob("*.part*"))


def test_analyze_writes_folders_of_any_name(here, tiny_onnx):
    write_film(here / "film.mp4", scenes(NUM, (640, 360)))
    os.replace("film.mp4", "2026-11-28T12:30:05.mp4")
    result = run("analyze", "--engine", tiny_onnx, "--detector", "haar", "--out", "12:30", "2026-11-28T12:30:05.mp4")
    assert result.exit_code == 0, result.output
    folder = here / "12:30/2026-11-28T12:30:05"
    assert num_video_frames(folder / "annotated.mp4") == len(rows(folder / "faces.frames.parquet")) == NUM
    assert len(rows(folder / "faces.csv")) == len(rows(folder / "faces.parquet")) > NUM


def test_streams_of_one_file_have_folders_of_their_own(here, tiny_onnx):
    films = [(scenes(4, size), "libx264", 0) for size in ((160, 90), (640, 360))]
    write_streams(here / "two.mkv", films)
    out = ("--out", "out", "--no-video")
    result = run("analyze", "--engine", tiny_onnx, "--detector", "haar", *out, "two.mkv", "two.mkv#0", "two.mkv#1")
    assert result.exit_code == 0, result.output
    sizes = {
        folder.name: tuple(json.loads((folder / "summary.json").read_text())["picture_size"])
        for folder in (here / "out").iterdir()
        if folder.is_dir()
    }
    assert sizes == {"two": (640, 360), "two-stream0": (160, 90), "two-stream1": (640, 360)}
    assert "two.mkv reads video stream #1" in result.stderr
    assert "two.mkv#0 reads video stream #0" in result.stderr
    again = run("analyze", "--engine", tiny_onnx, "--detector", "haar", *out, "two.mkv#1")
    assert again.exit_code == 0, "it is finished"


@pytest.mark.parametrize("name", [b"n\xff.png", b"=1+1.png", b"a\r\nb.png"])
def test_pictures_of_any_name_in_every_table(here, tiny_onnx, name):
    (here / "pictures").mkdir()
    (here / "pictures" / os.fsdecode(name)).write_bytes(still(scenes(1, (640, 360))[0], "PNG"))
    result = live(tiny_onnx, "--source", "pictures", "--csv", "a.csv", "--parquet", "a.parquet", "--jsonl", "a.jsonl")
    assert result.exit_code == 0, result.output
    shown = name.decode("utf-8", "backslashreplace").replace("\r\n", r"\r\n")
    assert [row["name"] for row in rows(here / "a.frames.parquet")] == [shown]
    assert [row["name"] for row in rows(here / "a.frames.csv")] == [f"'{shown}" if shown[0] == "=" else shown]
    assert json.loads((here / "a.jsonl").read_text())["name"] == shown
    assert len(rows(here / "a.csv")) == len(rows(here / "a.parquet")) > 0


def test_what_is_said_once(here, tiny_onnx):
    """The stream that is read, and what a folder has besides, come on standard error before the first result."""
    write_streams(here / "two.mkv", [(scenes(2, size), "libx264", 0) for size in ((160, 90), (640, 360))])
    (here / "pictures").mkdir()
    (here / "pictures/a.png").write_bytes(still(scenes(1)[0], "PNG"))
    (here / "pictures/b.jxl").write_bytes(b"x")
    result = live(tiny_onnx, "--source", "two.mkv", "--source", "pictures", "--jsonl", "-")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("two.mkv reads video stream #1 (640x360 h264) and not #0 (160x90 h264)") == 1
    assert result.stderr.count("pictures is read without 1 other entry: b.jxl") == 1


def test_a_source_with_a_number_is_not_overwritten(here, tiny_onnx):
    write_film(here / "two.mkv", scenes(2))
    result = live(tiny_onnx, "--source", "two.mkv#0", "--record", "two.mkv")
    assert result.exit_code == 2
    assert "two.mkv is both source and output" in result.output


def test_a_frame_has_its_time(here, tiny_onnx):
    write_film(here / "a.avi", scenes(20, (640, 360)), options={"bf": "2", "b-adapt": "0"})
    assert live(tiny_onnx, "--source", "a.avi", "--csv", "a.csv").exit_code == 0
    times = [float(row["time_s"]) for row in rows(here / "a.frames.csv")]
    assert times == pytest.approx([index / RATE for index in range(20)], abs=1e-3)


def test_old_tables_outlive_a_run_that_fails(here, tiny_onnx, monkeypatch):
    """Whatever ends the writing, the older tables stay."""
    for name in ("a.csv", "a.frames.csv"):
        (here / name).write_text("old")
    write_film(here / "a.avi", scenes(6))

    append = CsvFile.append

    def refuse(self, rows):
        if rows[0][0] == 3:
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        append(self, rows)

    monkeypatch.setattr(CsvFile, "append", refuse)
    result = live(tiny_onnx, "--source", "a.avi", "--csv", "a.csv")
    assert result.exit_code == 8
    assert "UnicodeEncodeError" in result.output
    assert [(here / name).read_text() for name in ("a.csv", "a.frames.csv")] == ["old", "old"]
    assert unfinished_path(here / "a.frames.csv").read_text().count("\n") == 4
