"""The rows of the table "media" about films, each with its right value. Where ffmpeg is at hand it is the judge."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from cases.media_files import (
    EVERY_WAY,
    MATRICES,
    NUM,
    RATE,
    SIZE,
    cut_with_edit_list,
    difference,
    every,
    frames_of_file,
    needs_ffmpeg,
    read,
    scenes,
    set_matrix,
    shorten_edit_list,
    shown_by_ffmpeg,
    stored,
    times_of,
    write_film,
    write_song,
    write_streams,
)

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import open_source

SCENES = scenes()
SOFT = 6.0
"""What a lossy codec may change, in gray levels; a picture that is upside down is off by more than 20."""
GRAY = [np.full((90, 160, 3), 128, np.uint8)] * NUM
DEFAULT, PLAIN, COVER = Disposition.default, Disposition(0), Disposition.attached_pic


class TestOrientation:
    @EVERY_WAY
    @pytest.mark.parametrize("matrix", MATRICES)
    def test_all_eight(self, tmp_path, matrix, frames_of):
        path = set_matrix(write_film(tmp_path / "a.mp4", [stored(s, matrix) for s in SCENES]), matrix)
        shown = frames_of(path)
        assert len(shown) == NUM
        assert max(map(difference, shown, SCENES)) < SOFT

    @needs_ffmpeg
    @pytest.mark.parametrize("matrix", MATRICES)
    def test_as_ffmpeg_shows_it(self, tmp_path, matrix):
        path = set_matrix(write_film(tmp_path / "a.mp4", [stored(s, matrix) for s in SCENES]), matrix)
        theirs = shown_by_ffmpeg(path, SIZE)
        assert max(map(difference, frames_of_file(path), theirs)) < 1.5


class TestStreams:
    def two(self, tmp_path, marks=(PLAIN, DEFAULT)) -> Path:
        return write_streams(tmp_path / "two.mkv", [(GRAY, "libx264", marks[0]), (SCENES, "libx264", marks[1])])

    @EVERY_WAY
    def test_the_one_marked_default(self, tmp_path, frames_of):
        assert frames_of(self.two(tmp_path))[0].shape == SCENES[0].shape
        assert frames_of(self.two(tmp_path, (DEFAULT, PLAIN)))[0].shape == GRAY[0].shape

    def test_the_largest_where_none_or_all_are_marked(self, tmp_path):
        for marks in ((PLAIN, PLAIN), (DEFAULT, DEFAULT)):
            assert frames_of_file(self.two(tmp_path, marks))[0].shape == SCENES[0].shape

    def test_which_one_is_said(self, tmp_path):
        source, _ = read(self.two(tmp_path))
        assert source.notes == (
            "reads video stream #1 (320x180 h264, default) and not #0 (160x90 h264); #N after the name chooses",
        )
        assert read(write_film(tmp_path / "a.mp4", SCENES))[0].notes == (), "there is nothing to choose"

    def test_a_number_behind_the_name_chooses(self, tmp_path):
        path = self.two(tmp_path)
        assert read(f"{path}#0")[1][0].frame_bgr.shape == GRAY[0].shape
        assert read(f"{path}#1")[1][0].frame_bgr.shape == SCENES[0].shape

    def test_behind_an_address(self, tmp_path):
        """A capture process of its own reads it; what it chose is told all the same."""
        path = self.two(tmp_path)
        source, frames = read(f"file://{path}")
        assert source.notes[0].startswith("reads video stream #1 (320x180 h264, default) and not #0")
        assert {frame.frame_bgr.shape for frame in frames} == {SCENES[0].shape}
        source, frames = read(f"file://{path}#0")
        assert source.notes[0].startswith("reads video stream #0")
        assert {frame.frame_bgr.shape for frame in frames} == {GRAY[0].shape}

    def test_a_file_of_that_very_name(self, tmp_path):
        self.two(tmp_path)
        path = write_film(tmp_path / "two.mkv#0", SCENES, muxer="matroska")
        assert read(path)[1][0].frame_bgr.shape == SCENES[0].shape

    def test_no_such_number(self, tmp_path):
        with pytest.raises(
            StreamError,
            match=r"two\.mkv#7: there is no stream #7; video streams: #0 \(160x90 h264\), "
            r"#1 \(320x180 h264, default\)\. Fix: choose one of these, or leave out the number",
        ):
            open_source(f"{self.two(tmp_path)}#7")

    def test_number_of_a_sound(self, tmp_path):
        path = write_song(tmp_path / "a.m4a", SCENES[0])
        with av.open(str(path)) as container:
            number = container.streams.audio[0].index
        with pytest.raises(StreamError, match=rf"stream #{number} is audio; video streams: #\d \(320x180 mjpeg, cover"):
            open_source(f"{path}#{number}")

    @pytest.mark.parametrize("cover_first", [True, False])
    def test_a_cover_beside_a_film(self, tmp_path, cover_first):
        films = [([SCENES[0]], "mjpeg", COVER), (SCENES, "libx264", DEFAULT)]
        path = write_streams(tmp_path / "a.mp4", films if cover_first else films[::-1])
        assert len(read(path)[1]) == NUM

    @pytest.mark.parametrize("name", ["a.mp3", "a.m4a"])
    def test_a_song_with_a_cover(self, tmp_path, name):
        path = write_song(tmp_path / name, SCENES[0])
        with pytest.raises(
            StreamError, match=rf"{name}: it has no video, only a cover picture\. Fix: name a recording"
        ):
            open_source(str(path))

    def test_a_cover_that_is_wanted(self, tmp_path):
        path = write_song(tmp_path / "a.mp3", SCENES[0])
        assert len(read(f"{path}#1")[1]) == 1


class TestTimes:
    @pytest.mark.parametrize("num_b_frames", [0, 1, 2, 3])
    def test_avi_knows_no_presentation_times(self, tmp_path, num_b_frames):
        options = {"bf": str(num_b_frames), "b-adapt": "0"}
        _, frames = read(write_film(tmp_path / "a.avi", scenes(20), options=options))
        assert times_of(frames) == every(1 / RATE, 20)
        assert max(map(difference, [f.frame_bgr for f in frames], scenes(20))) < SOFT, "each at its own time"

    def test_avi_with_b_frames_and_frames_that_were_dropped(self, tmp_path):
        ticks = [*range(8), *range(20, 32)]
        path = write_film(tmp_path / "a.avi", scenes(20), times=ticks, options={"bf": "2", "b-adapt": "0"})
        source, frames = read(path)
        assert len(frames) == 20
        assert times_of(frames)[-1] == pytest.approx(31 / RATE, abs=2e-3)
        assert np.diff(times_of(frames)).min() > 0
        assert source.health.last_error == ""

    def test_dropped_frames_are_no_trouble(self, tmp_path):
        ticks = [*range(5), *range(25, 40)]
        source, frames = read(write_film(tmp_path / "a.avi", scenes(20), "mjpeg", pix_fmt="yuvj420p", times=ticks))
        assert times_of(frames) == pytest.approx([tick / RATE for tick in ticks], abs=2e-3)
        assert (source.num_frames, source.health.num_missing, source.health.last_error) == (40, 0, "")

    @pytest.mark.parametrize(("codec", "muxer"), [("libx264", "h264"), ("libx265", "hevc")])
    def test_bare_streams_have_the_rate_of_their_codec(self, tmp_path, codec, muxer):
        options = {} if codec == "libx264" else {"x265-params": "log-level=none"}
        source, frames = read(write_film(tmp_path / f"a.{muxer}", SCENES, codec, muxer=muxer, options=options))
        assert source.fps == RATE
        assert times_of(frames) == every(1 / RATE, NUM)

    def test_uneven_rate(self, tmp_path):
        ticks = [0, 1, 2, 7, 8, 20, 21, 22, 23, 40, 41, 60]
        _, frames = read(write_film(tmp_path / "a.mkv", SCENES, times=ticks))
        assert times_of(frames) == pytest.approx([tick / RATE for tick in ticks], abs=2e-3)

    @pytest.mark.parametrize("lengths", [(9, 9, 9), (2, 3, 2, 5), (2, 12, 2), (30, 4, 30)])
    def test_pieces_joined_byte_by_byte(self, tmp_path, lengths):
        """Each piece has a clock of its own that begins again; all of them together are one recording."""
        parts = [write_film(tmp_path / f"{i}.ts", scenes(num)).read_bytes() for i, num in enumerate(lengths)]
        (tmp_path / "a.ts").write_bytes(b"".join(parts))
        source, frames = read(tmp_path / "a.ts")
        assert times_of(frames) == every(1 / RATE, sum(lengths))
        assert source.health.last_error == ""

    def test_frames_that_an_edit_list_hides(self, tmp_path):
        whole = write_film(tmp_path / "whole.mp4", scenes(48), options={"g": "50", "bf": "2"})
        source, frames = read(cut_with_edit_list(whole, tmp_path / "a.mp4", first=30))
        assert max(map(difference, [f.frame_bgr for f in frames], scenes(48)[30:])) < SOFT
        assert times_of(frames) == every(1 / RATE, 18)
        assert (source.health.num_missing, source.health.last_error) == (0, "")

    def test_edit_lists_that_hide_the_end(self, tmp_path):
        whole = write_film(tmp_path / "whole.mp4", scenes(48), options={"g": "50", "bf": "2"})
        both = cut_with_edit_list(whole, tmp_path / "both.mp4", first=30)
        for path, num in ((shorten_edit_list(both, 8), 8), (shorten_edit_list(whole, 20), 20)):
            source, frames = read(path)
            assert len(frames) == num
            assert (source.health.num_missing, source.health.last_error) == (0, "")

    def test_a_file_with_an_edit_list_that_does_break_off(self, tmp_path):
        whole = write_film(tmp_path / "whole.mp4", scenes(96), options={"g": "100", "bf": "2"})
        cut = cut_with_edit_list(whole, tmp_path / "cut.mp4", first=24)
        with av.open(str(cut)) as container:
            offsets = [packet.pos for packet in container.demux(video=0) if packet.size]
        content = bytearray(cut.read_bytes())
        content[offsets[60] : offsets[-1]] = bytes(
            offsets[-1] - offsets[60]
        )  # as after a power cut; the index is there
        cut.write_bytes(content)
        source, frames = read(cut)
        assert 30 <= len(frames) < 60
        assert len(frames) + source.health.num_corrupt + source.health.num_missing <= 96
        assert source.health.num_corrupt + source.health.num_missing > 10

    @needs_ffmpeg
    def test_as_many_as_ffmpeg_shows(self, tmp_path):
        whole = write_film(tmp_path / "whole.mp4", scenes(48), options={"g": "50", "bf": "2"})
        path = cut_with_edit_list(whole, tmp_path / "a.mp4", first=30)
        ours, theirs = frames_of_file(path), shown_by_ffmpeg(path, SIZE)
        assert len(ours) == len(theirs)
        assert max(map(difference, ours, theirs)) < 1.5
