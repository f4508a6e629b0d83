"""The rows of the table "media" about the size of frames, the shape of pixels, and names of files."""

import os
from pathlib import Path

import pytest
from cases.media_files import (
    EVERY_WAY,
    NUM,
    difference,
    frames_of_analysis,
    frames_of_file,
    read,
    scenes,
    set_matrix,
    set_pixel_shape,
    stored,
    write_film,
)

SCENES = scenes()
SOFT = 6.0


class TestShape:
    @EVERY_WAY
    @pytest.mark.parametrize(("ratio", "size"), [("16/9", (320, 180)), ("4/3", (240, 180)), ("1/2", (90, 180))])
    def test_pixels_that_are_not_square(self, tmp_path, frames_of, ratio, size):
        path = write_film(tmp_path / "a.mp4", scenes(3, (180, 180)), options={"x264-params": f"sar={ratio}"})
        assert {pixels.shape for pixels in frames_of(path)} == {(size[1], size[0], 3)}

    @pytest.mark.parametrize("ratio", ["16/9", "1/1"])
    def test_the_container_knows_better_than_the_codec(self, tmp_path, ratio):
        path = write_film(tmp_path / "a.mp4", scenes(3, (180, 180)), options={"x264-params": f"sar={ratio}"})
        assert {pixels.shape for pixels in frames_of_file(set_pixel_shape(path, 4, 3))} == {(180, 240, 3)}

    def test_as_it_was_before_it_was_squeezed(self, tmp_path):
        path = write_film(tmp_path / "a.mp4", scenes(3, (180, 180)), options={"x264-params": "sar=16/9"})
        assert max(map(difference, frames_of_file(path), SCENES)) < SOFT

    def test_squeezed_and_on_its_side(self, tmp_path):
        squeezed = [stored(s, (0, 1, -1, 0)) for s in scenes(3, (320, 90))]  # 90 columns stay, shown twice as wide
        path = write_film(tmp_path / "a.mp4", squeezed, options={"x264-params": "sar=2/1"})
        assert max(map(difference, frames_of_file(set_matrix(path, (0, 1, -1, 0))), SCENES)) < SOFT

    @pytest.mark.parametrize("ratio", ["1/100", "1000/1", "201/200"])
    def test_absurd_and_tiny_differences_are_ignored(self, tmp_path, ratio):
        path = write_film(tmp_path / "a.mp4", SCENES[:2], options={"x264-params": f"sar={ratio}"})
        assert frames_of_file(path)[0].shape == SCENES[0].shape

    @EVERY_WAY
    @pytest.mark.parametrize("sizes", [((640, 360), (160, 90)), ((160, 90), (640, 360))])
    def test_size_changes_in_mid_stream(self, tmp_path, frames_of, sizes):
        parts = [write_film(tmp_path / f"{i}.h264", scenes(20, size), muxer="h264") for i, size in enumerate(sizes)]
        (tmp_path / "a.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
        shapes = [pixels.shape[1::-1] for pixels in frames_of(tmp_path / "a.h264")]
        assert shapes == [sizes[0]] * 20 + [sizes[1]] * 20

    def test_shape_of_pixels_changes_in_mid_stream(self, tmp_path):
        parts = [
            write_film(
                tmp_path / f"{i}.h264", scenes(4, (180, 180)), muxer="h264", options={"x264-params": f"sar={sar}"}
            )
            for i, sar in enumerate(["1/1", "16/9"])
        ]
        (tmp_path / "a.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
        widths = [pixels.shape[1] for pixels in frames_of_file(tmp_path / "a.h264")]
        # PyAV tells the shape of the codec, not of each picture: those that the codec holds back get it early.
        assert (widths[0], widths[4:], sorted(widths)) == (180, [320] * 4, widths)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["2026-11-28T12:30:05.mp4", "file:a.mp4", "-i.mp4", "http:x.mp4", os.fsdecode(b"f\xff:1.mp4"), "a#b.mp4"],
    )
    def test_any_relative_name(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        write_film(Path("a.tmp"), SCENES, muxer="mp4").rename(name)
        assert len(read(name)[1]) == NUM
        assert len(frames_of_analysis(Path(name))) == NUM
