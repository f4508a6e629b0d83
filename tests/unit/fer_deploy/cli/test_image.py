"""The command: files and folders in, lines, JSON, tables and drawn pictures out, and its exit codes."""

import csv
import json
import os

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from fer_deploy import recognizer as recognizer_module
from fer_deploy.cli import image as image_module
from fer_deploy.cli import main
from fer_deploy.errors import SinkError
from fer_deploy.live.sources.pictures import read_picture
from fer_deploy.vision.types import Box, Detection


class CornerDetector:
    """Finds a face in the upper left corner of every picture that is not black there."""

    def detect(self, frame_bgr, scene_size=None):
        return [Detection(Box(2, 3, 42, 53), 0.875)] if frame_bgr[5, 5].any() else []


@pytest.fixture(autouse=True)
def corner(monkeypatch, fake_engine):
    monkeypatch.setattr(recognizer_module, "build_detectors", lambda config: CornerDetector)
    return fake_engine


def run(*args):
    return CliRunner().invoke(main, ["image", *map(str, args), "--detector", "haar"])


def write(path, level=200, size=(120, 160)):
    path.parent.mkdir(exist_ok=True)
    pattern = np.indices(size).sum(axis=0) // 8 % 2 * 32 - 16  # a plain face is unreadable
    pixels = np.repeat((level + pattern * (level > 0)).astype(np.uint8)[..., None], 3, axis=2)
    path.write_bytes(cv2.imencode(path.suffix or ".png", pixels)[1].tobytes())
    return path


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_line_for_each_face(tmp_path, corner):
    result = run(write(tmp_path / "a.png"), write(tmp_path / "b.png", 0), write(tmp_path / "c.png", 128))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{tmp_path}/a.png: bright 76% at 2,3,42,53",
        f"{tmp_path}/b.png: no face",
        f"{tmp_path}/c.png: bright 50% at 2,3,42,53",
    ]
    lines = result.stderr.splitlines()
    assert lines[0].endswith("fake; its ModelSpec does not say whose labels it learned")
    assert lines[1:] == ["detector: Haar", "3 pictures, 2 faces"]
    assert corner.batch_sizes == [2]
    assert corner.closed


def test_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr(image_module, "STANDARD_INPUT", write(tmp_path / "stdin"))
    monkeypatch.chdir(tmp_path)
    assert run("-").stdout == "-: bright 76% at 2,3,42,53\n"
    write(tmp_path / "-")
    assert run("-").stdout == "-: bright 76% at 2,3,42,53\n"


def test_an_empty_name(tmp_path, monkeypatch):
    """An unset variable of a shell is not the current folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.png")
    result = run("")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a file name is empty, as from an unset variable. Fix: name files, or . for this folder" in result.stderr


def test_unsure(tmp_path):
    result = run(write(tmp_path / "c.png", 128), "--unsure-below", "0.6")
    assert result.stdout == f"{tmp_path}/c.png: unsure (bright 50%) at 2,3,42,53\n"


def test_folders_in_natural_order(tmp_path):
    for name in ("p10.png", "p9.jpg", "p1.bmp"):
        write(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "notes.txt").write_text("x")
    result = run(write(tmp_path / "z.png"), tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    names = [line.partition(":")[0].removeprefix(f"{tmp_path}/") for line in result.stdout.splitlines()]
    assert names == ["z.png", "pictures/p1.bmp", "pictures/p9.jpg", "pictures/p10.png"]
    assert f"{tmp_path}/pictures is read without 1 other entry: notes.txt" in result.stderr


def test_more_than_are_in_memory_together(tmp_path, monkeypatch, corner):
    for number in range(5):
        write(tmp_path / "many" / f"{number}.png", size=(100, 100 + number))
    monkeypatch.setattr(image_module, "_MOST_AT_ONCE", 2)
    assert len(run(tmp_path / "many").stdout.splitlines()) == 5
    assert corner.batch_sizes == [2, 2, 1]
    monkeypatch.setattr(image_module, "_MOST_PIXELS", 10_000)
    assert len(run(tmp_path / "many").stdout.splitlines()) == 5
    assert corner.batch_sizes[3:] == [2, 1, 1, 1]


class TestUnreadable:
    def test_the_others_go_through(self, tmp_path):
        (tmp_path / "bad.jpg").write_text("no picture")
        (tmp_path / "empty").mkdir()
        files = [tmp_path / "bad.jpg", write(tmp_path / "a.png"), tmp_path / "none.png", tmp_path / "empty"]
        result = run(*files)
        assert result.exit_code == 8
        assert result.stdout == f"{tmp_path}/a.png: bright 76% at 2,3,42,53\n"
        assert f"unreadable: cannot decode {tmp_path}/bad.jpg as a picture. Fix: restore" in result.stderr
        assert f"unreadable: cannot read {tmp_path}/none.png: No such file or directory. Fix: check" in result.stderr
        assert f"unreadable: {tmp_path}/empty has no pictures" in result.stderr
        assert result.stderr.endswith(
            f"1 picture, 1 face\nerror: 3 of 4 could not be read: {tmp_path}/empty, {tmp_path}/bad.jpg, "
            f"{tmp_path}/none.png. Fix: see above for the reasons\n"
        )

    def test_many_names(self, tmp_path):
        result = run(*(tmp_path / f"{number}.png" for number in range(13)))
        assert result.exit_code == 8
        assert "error: 13 of 13 could not be read: " in result.stderr
        assert f"{tmp_path}/9.png and 3 more. Fix: see above" in result.stderr

    def test_a_name_that_begins_with_a_dash(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "-dash").write_bytes(b"a picture without a suffix")
        for name in ("-dash.png", "-dash", "--dash.png"):
            result = run(name)
            assert result.exit_code == 2
            assert f"If {name} is a file, name it ./{name}, or put -- before the files." in result.stderr
        for flag in ("-d", "--csw=faces.csv", "--what"):
            result = run("a.png", flag)
            assert result.exit_code == 2
            assert "is a file" not in result.stderr

    def test_an_address(self):
        result = run("http://bob:geheim@host/a.jpg")
        assert result.exit_code == 2
        assert "an address, expected files" in result.stderr
        assert "geheim" not in result.output

    @pytest.mark.skipif(os.name == "nt", reason="names are text there")
    def test_a_name_that_is_no_text(self, tmp_path):
        path = tmp_path / os.fsdecode(b"a\xff\n.png")
        os.rename(write(tmp_path / "a.png"), path)
        result = run(path, "--json", "--csv", tmp_path / "out.csv", "--annotate", tmp_path / "drawn")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["name"] == f"{tmp_path}/a\\xff\\n.png"
        assert run(path).stdout == f"{tmp_path}/a\\xff\\n.png: bright 76% at 2,3,42,53\n"


def test_several_pictures_in_a_file(tmp_path):
    pages = [np.full((60, 60, 3), level, dtype=np.uint8) for level in (200, 0)]
    cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    result = run(tmp_path / "a.tif")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert f"{tmp_path}/a.tif holds 2 pictures, and the first is analyzed. For all: fer-deploy live" in result.stderr


def test_json(tmp_path):
    result = run(write(tmp_path / "a.png"), write(tmp_path / "b.png", 0), "--json")
    one, two = map(json.loads, result.stdout.splitlines())
    assert (one["frame"], one["name"], two["frame"], two["faces"]) == (0, f"{tmp_path}/a.png", 1, [])
    (face,) = one["faces"]
    assert (face["box_xyxy"], face["emotion"], face["score"]) == ([2, 3, 42, 53], "bright", 0.875)
    assert face["smoothed"]["sure"] is True
    assert sum(face["probs"].values()) == pytest.approx(1)


class TestTable:
    def test_rows(self, tmp_path):
        (tmp_path / "bad.png").write_text("x")
        result = run(
            write(tmp_path / "a.png"),
            tmp_path / "bad.png",
            write(tmp_path / "b.png"),
            "--csv",
            tmp_path / "new/faces.csv",
        )
        assert result.exit_code == 8
        rows = rows_of(tmp_path / "new/faces.csv")
        assert [(row["frame"], row["emotion"], row["x2"]) for row in rows] == [
            ("0", "bright", "42"),
            ("2", "bright", "42"),
        ]
        frames = rows_of(tmp_path / "new/faces.frames.csv")
        assert [row["name"] for row in frames] == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]
        assert len(result.stdout.splitlines()) == 2

    @pytest.mark.parametrize("err", [SinkError("full"), RuntimeError("odd"), KeyboardInterrupt()])
    def test_a_run_that_ends_in_the_middle_replaces_no_older_table(self, tmp_path, monkeypatch, caplog, err):
        old = [tmp_path / "faces.csv", tmp_path / "faces.frames.csv"]
        for path in old:
            path.write_text("old")

        def fail_at_second(result, labels, path):
            if result.frame.index == 1:
                raise err

        monkeypatch.setattr(image_module, "_draw", fail_at_second)
        pictures = [write(tmp_path / f"{name}.png") for name in "abc"]
        assert run(*pictures, "--csv", old[0], "--annotate", tmp_path / "drawn").exit_code != 0
        assert [path.read_text() for path in old] == ["old", "old"]
        (part,) = tmp_path.glob("faces.[0-9]*.part.csv")
        assert [row["frame"] for row in rows_of(part)] == ["0", "1"]
        assert f"{old[0]} is unchanged; {part} has the rows up to the failure. Fix: " in caplog.text

    def test_no_readable_picture_replaces_no_older_table(self, tmp_path):
        (tmp_path / "faces.csv").write_text("old")
        (tmp_path / "bad.png").write_text("x")
        assert run(tmp_path / "bad.png", "--csv", tmp_path / "faces.csv").exit_code == 8
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.png", "faces.csv"]
        assert (tmp_path / "faces.csv").read_text() == "old"

    def test_no_file(self, tmp_path):
        result = run(write(tmp_path / "a.png"), "--csv", "-")
        assert result.exit_code == 2
        assert "error: csv cannot go to standard output. Fix: --csv FILE, or --json" in result.stderr

    def test_a_folder_has_the_name(self, tmp_path):
        result = run(write(tmp_path / "a.png"), "--csv", tmp_path)
        assert result.exit_code == 8
        assert "Is a directory. Fix: another --csv" in result.stderr


class TestAnnotate:
    def test_pictures(self, tmp_path):
        paths = [
            write(tmp_path / "x/a.jpg"),
            write(tmp_path / "y/a.png", 0),
            write(tmp_path / "y/A.bmp", size=(90, 70)),
        ]
        before = [path.read_bytes() for path in paths]
        result = run(*paths, "--annotate", tmp_path / "drawn/deep")
        assert result.exit_code == 0, result.output
        drawn = {path.name: read_picture(path) for path in (tmp_path / "drawn/deep").iterdir()}
        assert {name: picture.shape for name, picture in drawn.items()} == {
            "a.png": (120, 160, 3),
            "a-2.png": (120, 160, 3),
            "A-3.png": (90, 70, 3),
        }
        assert not (drawn["a.png"] == read_picture(paths[0])).all()  # a face is drawn
        assert (drawn["a-2.png"] == 0).all()
        assert [path.read_bytes() for path in paths] == before

    def test_nothing_that_is_read_is_overwritten(self, tmp_path):
        path = write(tmp_path / "p/a.png")
        before = path.read_bytes()
        for read in (path, tmp_path / "p"):
            result = run(read, "--annotate", tmp_path / "p")
            assert result.exit_code == 2
            assert "it would be overwritten. Fix: another --annotate" in result.stderr
        (tmp_path / "link").mkdir()
        os.link(path, tmp_path / "link" / "a.png")
        assert run(path, "--annotate", tmp_path / "link").exit_code == 2
        assert run(path, "--csv", path).exit_code == 2
        assert (path.read_bytes(), os.listdir(tmp_path / "p")) == (before, ["a.png"])

    def test_no_folder(self, tmp_path):
        (tmp_path / "file").write_text("x")
        result = run(write(tmp_path / "a.png"), "--annotate", tmp_path / "file")
        assert result.exit_code == 2
        assert f"--annotate {tmp_path}/file is a file. Fix: a folder, such as --annotate drawn" in result.stderr

    def test_pictures_of_others_stay(self, tmp_path):
        """photo.png is not the drawn photo.jpg; what an earlier run drew is replaced, and is no input."""
        path = write(tmp_path / "p/photo.jpg")
        result = run(path, "--annotate", tmp_path / "drawn")
        assert result.exit_code == 0
        assert run(path, "--annotate", tmp_path / "drawn").exit_code == 0
        other = write(tmp_path / "p/photo.png", 0)
        before = other.read_bytes()
        refused = run(path, "--annotate", tmp_path / "p")
        assert refused.exit_code == 2
        assert "photo.png exists, and fer-deploy did not draw it; it would be overwritten. Fix: " in refused.stderr
        assert other.read_bytes() == before
        other.unlink()
        assert run(path, "--annotate", tmp_path / "p").exit_code == 0
        again = run(tmp_path / "p")
        assert "p has 1 annotated picture, left out" in again.stderr
        assert [line.partition(": ")[0] for line in again.stdout.splitlines()] == [str(path)]

    def test_the_table_has_names(self, tmp_path):
        assert run(write(tmp_path / "a.png"), write(tmp_path / "b.png"), "--csv", tmp_path / "f.csv").exit_code == 0
        assert [row["name"] for row in rows_of(tmp_path / "f.csv")] == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]


def test_no_file_given():
    result = run()
    assert result.exit_code == 2
    assert "Missing argument 'FILE...'" in result.stderr
