"""HDR recordings look like what they show, not like fog."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from cases.media_files import RATE, difference, read, scenes

from fer_deploy.live.capture.dynamic_range import HLG, PQ, tone_mapped

WHITE_NITS = 203
TRANSFERS = {"smpte2084": PQ, "arib-std-b67": HLG}


def nits_of(picture: np.ndarray) -> np.ndarray:
    """Return the light of a gray picture on a screen that shows white at `WHITE_NITS`."""
    return WHITE_NITS * (picture / 255.0) ** 2.4


def signal_of(nits: np.ndarray, transfer: str) -> np.ndarray:
    """Return 0 to 1, after SMPTE ST 2084 and ITU-R BT.2100."""
    if transfer == "smpte2084":
        power = (nits / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    scene = (nits / 1000) ** (1 / 1.2)
    log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


def write_hdr(path: Path, pictures: list[np.ndarray], transfer: str) -> Path:
    """Write gray pictures in ten bits."""
    params = f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:bframes=0"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=RATE, options={"x265-params": params, "crf": "10"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p10le"
        for index, picture in enumerate(pictures):
            luma = np.round(64 + 876 * signal_of(nits_of(picture), transfer)).astype(np.uint16)
            frame = av.VideoFrame(picture.shape[1], picture.shape[0], "yuv420p10le")
            for plane, values in zip(
                frame.planes, (luma, np.full_like(luma, 512), np.full_like(luma, 512)), strict=True
            ):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = values[: plane.height, : plane.width]
                plane.update(rows)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_looks_as_it_did(tmp_path, transfer):
    pictures = [scene.mean(axis=2) for scene in scenes(3)]
    source, frames = read(write_hdr(tmp_path / "a.mp4", pictures, transfer))
    for frame, picture in zip(frames, pictures, strict=True):
        assert difference(frame.frame_bgr, np.repeat(np.round(picture)[..., None], 3, axis=2).astype(np.uint8)) < 6
    name = {"smpte2084": "PQ", "arib-std-b67": "HLG"}[transfer]
    assert source.notes == (f"is HDR ({name}); its pictures are tone-mapped to standard brightness",)


def test_said_of_no_other_recording(tmp_path):
    source, _ = read(write_hdr(tmp_path / "a.mp4", [scenes(1)[0].mean(axis=2)] * 2, "bt709"))
    assert source.notes == ()


@pytest.mark.parametrize("transfer", TRANSFERS)
class TestToneMap:
    def mapped(self, transfer, nits):
        value = np.round(255 * signal_of(np.array(nits, float), transfer)).astype(np.uint8)
        gray = np.repeat(value[None, :, None], 3, axis=2)
        return tone_mapped(gray, TRANSFERS[transfer], is_wide=True)[0].astype(int)

    def test_gray_stays_gray_and_keeps_its_level(self, transfer):
        levels = np.arange(30, 225, 5)
        mapped = self.mapped(transfer, nits_of(levels))
        assert np.abs(mapped - levels[:, None]).max() <= 6

    def test_highlights_are_compressed_and_not_cut(self, transfer):
        mapped = self.mapped(transfer, [100, 203, 400, 700, 1000])[:, 0]
        assert (np.diff(mapped) >= 0).all()
        assert 225 < mapped[1] < mapped[2] < mapped[-1] <= 255
