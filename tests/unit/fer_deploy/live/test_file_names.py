"""Names of files, whatever bytes they are made of."""

import os
from pathlib import Path

import pytest

from fer_deploy.live.file_names import file_address, file_and_stream, natural_order, printable, split_stream


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.mp4", "plain.mp4"),
        ("ä 漢.mp4", "ä 漢.mp4"),
        (os.fsdecode(b"n\xff\xe4.png"), r"n\xff\xe4.png"),
        ("a\nb\x1b[31m.png", r"a\nb\x1b[31m.png"),
        ("\ud800", r"\ud800"),
        ("a\u202eb", r"a\u202eb"),
        ("at 12.30\u202fPM 👨\u200d👩.png", "at 12.30\u202fPM 👨\u200d👩.png"),
        ("a\u2028b\x85", r"a\u2028b\x85"),
    ],
)
def test_printable(name, shown):
    assert printable(name) == printable(Path(name)) == shown
    shown.encode()


def test_numbers_count_by_their_value():
    names = ["b.png", "b10.png", "b2.png", "b02.png", "a.png", "b2.jpg", "10.png", "9.png", "b2c1.png", "b2c.png"]
    assert [path.name for path in sorted(map(Path, names), key=natural_order)] == [
        "9.png",
        "10.png",
        "a.png",
        "b.png",
        "b02.png",
        "b2.jpg",
        "b2.png",
        "b2c.png",
        "b2c1.png",
        "b10.png",
    ]


def test_any_bytes_can_be_sorted():
    names = [Path(os.fsdecode(name)) for name in (b"\xff2.png", b"\xff10.png", b"1.png", "²3.png".encode())]
    assert sorted(names, key=natural_order)[0] == Path("1.png")


class TestStreams:
    def test_a_number_behind_the_name(self, tmp_path):
        (tmp_path / "a#2").write_text("x")
        assert split_stream("film.mkv#1") == ("film.mkv", 1)
        assert split_stream("rtsp://camera/live#0") == ("rtsp://camera/live", 0)
        assert split_stream("a#b#12") == ("a#b", 12)
        assert file_and_stream(tmp_path / "a#2") == (tmp_path / "a#2", None), "a file of that very name"
        assert file_and_stream(tmp_path / "a#3") == (tmp_path / "a", 3)

    @pytest.mark.parametrize("text", ["film.mkv", "#1", "a#", "a#x", "a#1.mp4", "a#12345", "a#²", "http://h/a#tok=1"])
    def test_no_number(self, text):
        assert split_stream(text) == (text, None)


def test_address():
    assert file_address(Path("a:b.mp4")) == file_address("a:b.mp4") == "file:a:b.mp4"
