import os

import pytest

from fer_deploy.privacy.portable_paths import file_name, shown_path, without_folders, without_folders_in_text

BOB = (
    "/home/bob/models/a.onnx",
    "C:\\Users\\bob\\a.onnx",
    "C:/Users/bob/a.onnx",
    "~/bob/a.onnx",
    "\\\\host\\bob\\a.onnx",
)


@pytest.mark.parametrize("path", BOB)
def test_a_path_of_another_place_is_its_name(path):
    assert file_name(path) == shown_path(path) == "a.onnx"


@pytest.mark.parametrize("path", ["a.onnx", "models/a.onnx", "../models/a.onnx", "http://host/a"])
def test_a_relative_path_is_as_it_was_typed(path):
    assert shown_path(path) == path


def test_a_path_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "models" / "a.onnx") == os.path.join("models", "a.onnx")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--yunet /home/bob/models/a.onnx --p=/home/bob/x y", "--yunet a.onnx --p=x y"),
        ("cannot read '/tmp/tmp_q/a.jsonl': gone", "cannot read 'a.jsonl': gone"),
        ("(C:\\Users\\bob\\a.onnx)", "(a.onnx)"),
        ("see http://host/a/b and https://x/y/z", "see http://host/a/b and https://x/y/z"),
        ("1/2, and/or, a/b/c, ./a/b, ../x/y/z, 480x270/s", "1/2, and/or, a/b/c, ./a/b, ../x/y/z, 480x270/s"),
        ("/dev/video0, /proc/self/fd, /healthz", "/dev/video0, /proc/self/fd, /healthz"),
        ("/dev/shm/bob/a.mp4: broken", "a.mp4: broken"),
    ],
)
def test_paths_in_a_text(text, expected):
    assert without_folders_in_text(text) == expected


def test_plain_data():
    found = without_folders({"init": {"config": {"teachers": [BOB[0], BOB[1]], "seed": 3}}, "note": "a / b"})
    assert found == {"init": {"config": {"teachers": ["a.onnx", "a.onnx"], "seed": 3}}, "note": "a / b"}
