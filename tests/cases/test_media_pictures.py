"""The rows of the table "media" about still pictures, each with its right value."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from cases.media_files import NUM, difference, every, read, scenes, times_of
from cases.picture_files import FILMS, STILLS, huge_png, image_of, several, still
from PIL import Image, features

from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.errors import StreamError
from fer_deploy.live.sources import open_recording, open_source
from fer_deploy.live.sources.pictures import read_picture
from fer_deploy.live.sources.stills import MAX_PIXELS

SCENES = scenes()
SCENE = SCENES[0]
SOFT = 6.0


def skip_without(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this build of Pillow has no AVIF")


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", STILLS)
    def test_all_eight_in_every_format(self, tmp_path, kind, orientation):
        skip_without(kind)
        path = write(tmp_path / f"a{STILLS[kind]}", still(SCENE, kind, orientation))
        _, (frame,) = read(path)
        assert difference(frame.frame_bgr, SCENE) < SOFT
        _, (frame,) = read(tmp_path)
        assert difference(frame.frame_bgr, SCENE) < SOFT, "in a folder, too"

    def test_analysis_sees_the_same(self, tmp_path):
        recording = Recording(open_recording(write(tmp_path / "a.jpg", still(SCENE, "JPEG", 5))))
        assert difference(recording.next_frame().frame_bgr, SCENE) < SOFT
        assert recording.next_frame() is None
        recording.close()

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # as the program does; pytest undoes that
    @pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no EXIF at all" * 9])
    def test_damaged_exif_costs_no_picture(self, tmp_path, exif):
        written = io.BytesIO()
        image_of(SCENE).save(written, "JPEG", quality=95, exif=exif)
        _, (frame,) = read(write(tmp_path / "a.jpg", written.getvalue()))
        assert difference(frame.frame_bgr, SCENE) < SOFT


class TestSeveral:
    @pytest.mark.parametrize("kind", FILMS)
    def test_an_animation_is_a_film(self, tmp_path, kind):
        skip_without(kind)
        source, frames = read(write(tmp_path / f"a{FILMS[kind]}", several(SCENES, kind, duration_ms=80)))
        assert source.num_frames == len(frames) == NUM
        assert times_of(frames) == every(0.08, NUM)
        assert source.fps == pytest.approx(12.5)
        assert max(map(difference, [f.frame_bgr for f in frames], SCENES)) < SOFT
        assert not any(frame.is_photo for frame in frames), "people are followed from one to the next"

    def test_an_analysis_of_it_can_go_on(self, tmp_path):
        path = write(tmp_path / "a.webp", several(SCENES, "WEBP", duration_ms=80))
        recording = Recording(open_recording(path))
        assert recording.skip(5, on_skip=lambda index: True)
        assert recording.next_frame().index == 5
        recording.close()

    def test_pages_are_photos(self, tmp_path):
        path = write(tmp_path / "a.tiff", several([SCENE, SCENE[:, ::-1], SCENE[:90]], "TIFF"))
        source, frames = read(path)
        assert [(f.index, f.name, f.frame_bgr.shape) for f in frames] == [
            (0, "a.tiff", (180, 320, 3)),
            (1, "a.tiff", (180, 320, 3)),
            (2, "a.tiff", (90, 320, 3)),
        ]
        assert source.num_frames == 3

    def test_in_a_folder_all_of_them_come(self, tmp_path):
        write(tmp_path / "1.tif", several([SCENE, SCENE], "TIFF"))
        write(tmp_path / "2.gif", several(SCENES[:3], "GIF", duration_ms=80))
        write(tmp_path / "3.png", still(SCENE, "PNG"))
        source, frames = read(tmp_path)
        assert [frame.name for frame in frames] == ["1.tif"] * 2 + ["2.gif"] * 3 + ["3.png"]
        assert [frame.index for frame in frames] == list(range(6))
        assert source.num_frames == 6

    def test_previews_behind_a_photo_are_no_frames(self, tmp_path):
        """Phones write JPEGs with gain maps and previews behind the picture."""
        written = io.BytesIO()
        image_of(SCENE).save(written, "MPO", save_all=True, append_images=[image_of(SCENE[:90])])
        _, frames = read(write(tmp_path / "a.jpg", written.getvalue()))
        assert [frame.frame_bgr.shape for frame in frames] == [SCENE.shape]


class TestTransparency:
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF"])
    def test_what_nobody_sees_is_gray(self, tmp_path, kind):
        alpha = np.zeros(SCENE.shape[:2], np.uint8)
        alpha[:, :100] = 255
        written = io.BytesIO()
        picture = image_of(SCENE)
        picture.putalpha(Image.fromarray(alpha))
        picture.save(written, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        _, (frame, *_) = read(write(tmp_path / f"a.{kind.lower()}", written.getvalue()))
        assert np.ptp(frame.frame_bgr[:, 100:]) == 0
        assert frame.frame_bgr[0, 200].tolist() == [128, 128, 128]
        assert difference(frame.frame_bgr[:, :100], SCENE[:, :100]) < SOFT

    def test_half_transparent(self, tmp_path):
        picture = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
        picture.save(tmp_path / "a.png")
        assert read_picture(tmp_path / "a.png")[0, 0].tolist() == [64, 64, 192]

    def test_palette_with_a_transparent_color(self, tmp_path):
        picture = Image.new("P", (8, 8), 0)
        picture.putpalette([255, 0, 0, 0, 255, 0])
        picture.paste(1, (0, 0, 4, 8))
        picture.save(tmp_path / "a.png", transparency=0)
        pixels = read_picture(tmp_path / "a.png")
        assert (pixels[0, 0].tolist(), pixels[0, 7].tolist()) == ([0, 255, 0], [128, 128, 128])


class TestDepth:
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_sixteen_bits(self, tmp_path, suffix):
        Image.fromarray(np.full((9, 9), 0x8000, np.uint16)).save(tmp_path / f"a{suffix}")
        assert read_picture(tmp_path / f"a{suffix}")[0, 0].tolist() == [128, 128, 128]

    @pytest.mark.parametrize(("level", "seen"), [(0.5, 128), (100.0, 100)])
    def test_floating_point(self, tmp_path, level, seen):
        Image.fromarray(np.full((9, 9), level, np.float32)).save(tmp_path / "a.tif")
        assert read_picture(tmp_path / "a.tif")[0, 0].tolist() == [seen] * 3

    def test_four_inks(self, tmp_path):
        Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
        blue, green, red = read_picture(tmp_path / "a.jpg")[4, 4].tolist()
        assert red > 200
        assert max(blue, green) < 60


class TestFaults:
    def test_a_header_that_lies_about_its_size(self, tmp_path):
        write(tmp_path / "1.png", huge_png())
        write(tmp_path / "2.png", still(SCENE, "PNG"))
        source, frames = read(tmp_path)
        assert [frame.name for frame in frames] == ["2.png"]
        assert source.health.num_corrupt == 1
        assert (
            f"1.png as a picture: it announces more than {MAX_PIXELS // 10**6} million pixels"
            in source.health.last_error
        )

    def test_a_page_that_lies_about_its_size(self, tmp_path):
        content = bytearray(several([SCENE, SCENE], "TIFF"))
        place = content.rindex(b"\x00\x01\x04\x00\x01\x00\x00\x00")  # ImageWidth of the last page
        content[place + 8 : place + 12] = (40_000).to_bytes(4, "little")
        place = content.rindex(b"\x01\x01\x04\x00\x01\x00\x00\x00")
        content[place + 8 : place + 12] = (40_000).to_bytes(4, "little")
        source, frames = read(write(tmp_path / "a.tif", bytes(content)))
        assert len(frames) == source.health.num_corrupt == 1

    @pytest.mark.parametrize("kind", [*STILLS, "BMP"])
    def test_a_file_that_breaks_off_is_counted(self, tmp_path, kind):
        skip_without(kind)
        whole = still(SCENE, kind)
        write(tmp_path / f"1{STILLS.get(kind, '.bmp')}", whole[: len(whole) // 2])
        write(tmp_path / "2.png", still(SCENE, "PNG"))
        source, frames = read(tmp_path)
        assert [frame.name for frame in frames] == ["2.png"]
        assert source.health.num_corrupt == 1
        assert "Fix: restore or remove the file" in source.health.last_error

    def test_every_one_is_named(self, tmp_path, caplog):
        for name in ("a.png", "b.jpg", "c.png"):
            write(tmp_path / name, still(SCENE, "PNG") if name == "c.png" else b"no picture")
        read(tmp_path)
        assert ["a.png" in caplog.messages[0], "b.jpg" in caplog.messages[1], len(caplog.messages)] == [True, True, 2]

    @pytest.mark.parametrize("content", [b"", b"no picture", huge_png()])
    def test_a_single_one_is_refused_when_it_is_opened(self, tmp_path, content):
        with pytest.raises(StreamError, match=r"cannot decode .*a\.png as a picture.*Fix: "):
            open_source(str(write(tmp_path / "a.png", content)))


class TestFolders:
    def test_numbers_count_by_their_value(self, tmp_path):
        names = ["frame_10.png", "frame_2.png", "frame_1.png", "frame.png", "frame_010.png", "a9.png", "a10.png"]
        for name in names:
            write(tmp_path / name, still(SCENE[:20, :20], "PNG"))
        _, frames = read(tmp_path)
        assert [frame.name for frame in frames] == [
            "a9.png",
            "a10.png",
            "frame.png",
            "frame_1.png",
            "frame_2.png",
            "frame_010.png",
            "frame_10.png",
        ]

    def test_what_is_passed_over_is_counted_and_named(self, tmp_path):
        write(tmp_path / "a.png", still(SCENE, "PNG"))
        for name in ("b.jxl", "film.mp4", "notes 2.txt", "notes 10.txt"):
            write(tmp_path / name, b"x")
        (tmp_path / "sub").mkdir()
        (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
        source, frames = read(tmp_path)
        assert len(frames) == 1
        assert source.notes == (
            "is read without 6 other entries: b.jxl, film.mp4, gone.jpg, notes 2.txt, notes 10.txt, sub",
        )

    def test_many_are_not_all_named(self, tmp_path):
        write(tmp_path / "a.png", still(SCENE, "PNG"))
        for number in range(15):
            write(tmp_path / f"{number}.txt", b"x")
        names = ", ".join(f"{number}.txt" for number in range(10))
        assert open_source(str(tmp_path)).notes == (f"is read without 15 other entries: {names} and 5 more",)

    @pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.JPEG", "a.tif", "a.TIFF", "a.bmp", "a.apng"])
    def test_other_suffixes(self, tmp_path, name):
        kind = {".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".apng": "PNG"}.get(Path(name).suffix.lower(), "JPEG")
        write(tmp_path / name, still(SCENE, kind))
        assert [frame.name for frame in read(tmp_path)[1]] == [name]
        assert len(read(tmp_path / name)[1]) == 1

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    def test_without_a_suffix(self, tmp_path, kind):
        _, (frame,) = read(write(tmp_path / "photo", still(SCENE, kind, 6)))
        assert difference(frame.frame_bgr, SCENE) < SOFT
        assert frame.is_photo

    @pytest.mark.parametrize("name", [b"n\xff.png", b"a:b.png", b"-r.png", b"100%d.png", b"a\nb.png", "ä.png".encode()])
    def test_any_name(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        write(Path(os.fsdecode(name)), still(SCENE, "PNG"))
        shown = name.decode("utf-8", "backslashreplace").replace("\n", r"\n")
        for opened in (".", os.fsdecode(name)):
            source, (frame,) = read(opened)
            assert frame.name == shown
            source.name.encode()

    def test_a_folder_whose_name_is_no_utf8(self, tmp_path):
        folder = tmp_path / os.fsdecode(b"f\xff")
        folder.mkdir()
        with pytest.raises(StreamError, match=r"f\\xff has no pictures"):
            open_source(str(folder))
