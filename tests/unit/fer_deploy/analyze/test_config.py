"""Segments end where chunks end."""

import re

import pytest

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.segments.selection import ALL_FRAMES, Selection
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
    with pytest.raises(ConfigError, match=r"max_frames is for fer-deploy live. Fix: end \(--end\)"):
        load(tmp_path, pipeline={"max_frames": 10})


def test_no_out():
    with pytest.raises(ConfigError, match=r"out \(--out\) is missing. Fix: give out \(--out\), or out: in the config"):
        load_settings(AnalyzeConfig, None, {})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"jobs": 0}, 'jobs is 0, expected 1 to 256, or auto. Fix: jobs="auto"'),
        ({"jobs": 4, "pipeline": {"detect_every": 3}}, "jobs is 4 and detect_every is 3: faces between two runs"),
    ],
)
def test_jobs_that_cannot_be(settings, text, tmp_path):
    with pytest.raises(ValueError, match=re.escape(text)):
        AnalyzeConfig.model_validate({"out": tmp_path, **settings})


def test_jobs_change_no_result(tmp_path):
    for settings in ({"jobs": 4}, {"jobs": "auto", "pipeline": {"detect_every": 3}}, {"jobs": 1}):
        AnalyzeConfig.model_validate({"out": tmp_path, **settings})


@pytest.mark.parametrize("setting", [{"max_faces": 2}, {"roi": (0.0, 0.0, 0.5, 0.5)}, {"min_face": 50}])
def test_faces_that_are_not_searched_cannot_be_covered(tmp_path, setting):
    (name,) = setting
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"covers the faces that were found, .*{flag}\) leaves faces out. Fix: with"):
        load(tmp_path, detection=setting, pipeline={"anonymize": "blur"})
    load(tmp_path, detection=setting)


def test_times_of_a_range(tmp_path):
    assert load(tmp_path, start="1:02.5", end="90").selection == Selection(62.5, 90.0, None)
    assert load(tmp_path, end=5.0).selection == Selection(0.0, 5.0, None)
    assert load(tmp_path).selection == ALL_FRAMES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "a minute"}, r"start: no time. Fix: seconds \(62.5\) or a clock time"),
        ({"start": -1.0}, r"start: expected at least 0"),
        (
            {"start": "1:00", "end": 30.0},
            r"end \(--end\) is 30 s and start \(--start\) 60 s. Fix: an end after the start",
        ),
        ({"sample_fps": 0.0}, r"sample_fps: expected more than 0"),
        (
            {"sample_fps": 5.0, "pipeline": {"detect_every": 3}},
            r"sample_fps \(--sample-fps\) is 5 and detect_every \(--detect-every\) 3: .* Fix: without detect_every",
        ),
        (
            {"sample_fps": 0.5},
            r'unseen for 2 s .* needs 1 or more frames a second. Fix: sample_fps="1" \(--sample-fps 1\), '
            r"or in --config pipeline: \{people: \{keep_s: 4\}\}",
        ),
    ],
)
def test_ranges_and_samples_that_cannot_be(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, **settings)


def test_seldom_samples_of_people_who_are_kept_longer(tmp_path):
    config = load(tmp_path, sample_fps=0.1, pipeline={"people": {"keep_s": 20.0}})
    assert config.selection == Selection(0.0, None, 0.1)
