"""HEIC pictures as phones write them: in tiles, turned, with a preview."""

import re
import struct

import numpy as np
import pytest
from cases.heic_files import heic, mirrored, quarter_turns
from cases.media_files import difference, read, scenes
from cases.picture_files import still

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import VideoDecoder
from fer_deploy.live.capture.stream_choice import NoVideo
from fer_deploy.live.sources import open_source
from fer_deploy.live.sources.pictures import read_picture
from fer_deploy.live.sources.stills import MAX_PIXELS

SOFT = 6.0


def write(path, content):
    path.write_bytes(content)
    return path


class TestHeic:
    PICTURE = scenes(1, (192, 128))[0]
    TURNS = (
        (b"", 0, None),
        (quarter_turns(1), 1, None),
        (quarter_turns(2), 2, None),
        (quarter_turns(3), 3, None),
        (mirrored(0), 0, 0),
        (mirrored(1), 0, 1),
    )

    @pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (1, 2)])
    @pytest.mark.parametrize(("box", "turns", "axis"), TURNS)
    def test_tiles_are_put_together(self, tmp_path, rows, columns, box, turns, axis):
        write(tmp_path / "a.heic", heic(self.PICTURE, rows=rows, columns=columns, turned=box))
        upright = np.rot90(self.PICTURE, turns) if axis is None else np.flip(self.PICTURE, axis)
        for opened in (tmp_path, tmp_path / "a.heic"):
            _, (frame,) = read(opened)
            assert difference(frame.frame_bgr, upright) < SOFT
            assert frame.name == "a.heic"

    def test_bytes_and_other_names(self, tmp_path):
        content = heic(self.PICTURE, rows=2, columns=3)
        for source in (content, write(tmp_path / "a.jpg", content)):
            assert difference(read_picture(source), self.PICTURE) < SOFT

    def test_a_preview_is_not_taken_for_the_picture(self, tmp_path):
        path = write(tmp_path / "a.heic", heic(self.PICTURE, rows=2, columns=3, has_preview=True))
        assert difference(read(path)[1][0].frame_bgr, self.PICTURE) < SOFT

    def test_the_last_tiles_may_reach_beyond_the_picture(self, tmp_path):
        content = heic(self.PICTURE, rows=2, columns=3)
        place = content.index(struct.pack(">BBBBHH", 0, 0, 1, 2, 192, 128)) + 4
        content = content[:place] + struct.pack(">HH", 180, 100) + content[place + 4 :]
        _, (frame,) = read(write(tmp_path / "a.heic", content))
        assert difference(frame.frame_bgr, self.PICTURE[:100, :180]) < SOFT

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
    def test_a_file_that_breaks_off_is_counted(self, tmp_path, share):
        content = heic(self.PICTURE, rows=2, columns=3)
        write(tmp_path / "1.heic", content[: round(share * len(content))])
        write(tmp_path / "2.png", still(self.PICTURE, "PNG"))
        source, frames = read(tmp_path)
        assert [frame.name for frame in frames] == ["2.png"]
        assert source.health.num_corrupt == 1
        assert re.search(
            r"cannot decode .*1\.heic as a picture: .+\. Fix: convert it to JPEG", source.health.last_error
        )

    def test_damage_ends_in_an_error_and_soon(self, tmp_path):
        """A length or number that is wrong is neither believed nor followed without end."""
        content = heic(self.PICTURE, rows=2, columns=3)
        rng = np.random.default_rng(7)
        num_read, refusals = 0, []
        for _ in range(150):
            damaged = bytearray(content)
            for place in rng.integers(0, content.index(b"mdat"), 3):
                damaged[place] = rng.integers(0, 256)
            write(tmp_path / "a.heic", bytes(damaged))
            try:
                num_read += len(read(tmp_path / "a.heic")[1])
            except StreamError as err:
                refusals.append(str(err))
        assert 10 < num_read < 140
        assert all("Fix: convert it to JPEG" in refusal for refusal in refusals)

    def test_places_without_end(self, tmp_path):
        content = bytearray(heic(self.PICTURE, rows=2, columns=3))
        place = content.index(b"iloc")
        content[place + 4] = 2  # its version: the number of items has four bytes
        content[place + 10 : place + 14] = b"\xff" * 4
        with pytest.raises(StreamError, match=r"the list of places breaks off|cannot decode"):
            open_source(str(write(tmp_path / "a.heic", bytes(content))))

    def test_a_header_that_lies_about_its_size(self, tmp_path):
        content = heic(self.PICTURE, rows=2, columns=3)
        place = content.index(struct.pack(">BBBBHH", 0, 0, 1, 2, 192, 128)) + 4
        content = content[:place] + struct.pack(">HH", 40_000, 40_000) + content[place + 4 :]
        with pytest.raises(StreamError, match=rf"it announces more than {MAX_PIXELS // 10**6} million pixels"):
            open_source(str(write(tmp_path / "a.heic", content)))

    @pytest.mark.parametrize("name", ["photo", "photo.jpg"])
    def test_by_how_it_begins(self, tmp_path, name):
        _, (frame,) = read(write(tmp_path / name, heic(self.PICTURE, rows=2, columns=3)))
        assert difference(frame.frame_bgr, self.PICTURE) < SOFT

    @pytest.mark.parametrize("has_preview", [False, True])
    def test_a_tile_alone_is_never_shown(self, tmp_path, has_preview):
        """Behind a URL, or in a pipe, FFmpeg reads it as a film."""
        path = write(tmp_path / "a.heic", heic(self.PICTURE, rows=2, columns=3, has_preview=has_preview))
        with pytest.raises(NoVideo, match="it is a picture in 6 tiles, as HEIC has them") as refused:
            VideoDecoder(str(path))
        assert refused.value.fix == "convert it to JPEG"
