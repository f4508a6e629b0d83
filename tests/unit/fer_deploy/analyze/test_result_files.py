"""Folders that hold what no analysis has made."""

import pytest

from fer_deploy.analyze.parts import PARTS, Parts
from fer_deploy.analyze.result_files import is_leftover, require_own_folder
from fer_deploy.errors import ConfigError


def test_a_folder_of_somebody_elses_results(tmp_path):
    (tmp_path / "report.html").touch()
    (tmp_path / PARTS).mkdir()
    with pytest.raises(ConfigError, match=r"has report.html, but neither summary.json nor .* Fix: another --out"):
        require_own_folder(tmp_path)


def test_parts_of_something_else(tmp_path):
    (tmp_path / PARTS).mkdir()
    (tmp_path / PARTS / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"has parts, but neither summary.json"):
        require_own_folder(tmp_path)


@pytest.mark.parametrize("name", ["summary.json", "parts/checkpoint.json"])
def test_what_an_analysis_has_made(tmp_path, name):
    (tmp_path / PARTS).mkdir()
    for path in (name, "report.html", "parts/000000.csv"):
        (tmp_path / path).touch()
    require_own_folder(tmp_path)


def test_a_run_that_was_killed_before_its_first_checkpoint(tmp_path):
    with Parts(tmp_path / PARTS) as parts:
        parts.path(0, "csv").touch()
    require_own_folder(tmp_path)


def test_other_names_are_in_nobodys_way(tmp_path):
    (tmp_path / PARTS).mkdir()
    (tmp_path / "notes.txt").touch()
    require_own_folder(tmp_path)
    require_own_folder(tmp_path / "not yet there")


@pytest.mark.parametrize("inner", ["", "clip", "deep/clip"])
def test_a_file_in_the_place_of_a_folder(tmp_path, inner):
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match=r"into .*out.*: .*/out is a file, expected a folder. Fix: another --out"):
        require_own_folder(tmp_path / "out" / inner)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("annotated.9.part.mp4", True),
        ("faces.frames.9.part.csv", True),
        ("mine.part.txt", False),
        ("mine.9.part.txt", False),
        ("report.html", False),
    ],
)
def test_leftovers(name, expected):
    assert is_leftover(name) is expected
