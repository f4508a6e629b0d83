"""Segments end where chunks end."""

import pytest

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.errors import ConfigError
from fer_deploy.settings import load_settings


def load(tmp_path, **settings):
    return load_settings(AnalyzeConfig, None, {"out": tmp_path} | settings)


@pytest.mark.parametrize(
    ("detect_every", "multiple", "frames"), [("auto", 12, 960), (1, 12, 960), (5, 60, 960), (7, 84, 1008)]
)
def test_usual_segments(tmp_path, detect_every, multiple, frames):
    config = load(tmp_path, pipeline={"detect_every": detect_every})
    assert (config.segment_multiple, config.frames_per_segment) == (multiple, frames)


def test_a_segment_that_cuts_chunks(tmp_path):
    with pytest.raises(
        ConfigError, match=r"segment_frames is 500, expected a multiple of 12. Fix: segment_frames: 504"
    ):
        load(tmp_path, segment_frames=500)


def test_a_part_of_a_recording(tmp_path):
    with pytest.raises(ConfigError, match="max_frames is for fer-deploy live"):
        load(tmp_path, pipeline={"max_frames": 10})


def test_no_out():
    with pytest.raises(ConfigError, match=r"out \(--out\) is missing. Fix: give out \(--out\), or out: in the config"):
        load_settings(AnalyzeConfig, None, {})
