"""What no checkpoint counts is removed, and nothing that is somebody else's."""

import pytest

from fer_deploy.analyze.parts import Parts, finished_name

KEPT = ["000000.csv", "000000.frames.parquet", "000001.mp4", "checkpoint.json", "lock"]
LEFT_OVER = [
    "000000.frames.77.part.csv",
    "000001.77.part.indexed.mp4",
    "000001.77.part.mp4",
    "000002.csv",
    "000002.frames.csv",
    "000003.77.part.joined.parquet",
    "checkpoint.77.part.json",
]
FOREIGN = ["1.mp4", "a.77.part.mp4", "holiday.part.csv", "notes.txt"]


def fill(folder, *names):
    for name in names:
        (folder / name).touch()
    (folder / "000002.77.part.parquet").mkdir()
    (folder / "album").mkdir()
    (folder / "album/000002.csv").touch()


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_remove_beyond(tmp_path):
    fill(tmp_path, *KEPT, *LEFT_OVER, *FOREIGN)
    Parts(tmp_path).remove_beyond(2)
    assert names(tmp_path) == sorted([*KEPT, *FOREIGN, "album", "album/000002.csv"])


def test_clear_forgets_the_checkpoint(tmp_path):
    for name in KEPT:
        (tmp_path / name).touch()
    Parts(tmp_path).clear()
    assert names(tmp_path) == ["lock"]


def test_remove_leaves_nothing_of_ours(tmp_path):
    with Parts(tmp_path / "parts") as parts:
        for name in (*KEPT, *LEFT_OVER):
            (parts.folder / name).touch()
        parts.remove()
    assert names(tmp_path) == []


def test_remove_leaves_what_is_not_ours(tmp_path):
    fill(tmp_path, *KEPT, *FOREIGN)
    Parts(tmp_path).remove()
    assert names(tmp_path) == sorted([*FOREIGN, "album", "album/000002.csv"])


@pytest.mark.parametrize(
    ("name", "finished"),
    [
        ("faces.frames.77.part.csv", "faces.frames.csv"),
        ("000001.77.part.indexed.mp4", "000001.mp4"),
        ("mine.part.txt", None),
        ("a.part.77.csv", None),
        ("faces.csv", None),
    ],
)
def test_names_of_unfinished_files(name, finished):
    assert finished_name(name) == finished
