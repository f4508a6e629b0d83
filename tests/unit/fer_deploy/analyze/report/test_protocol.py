"""The methods paragraph says what the results and the ModelSpec say."""

import pytest
from unit.fer_deploy.analyze.events.made_results import make_results, person

from fer_deploy.analyze.report.protocol import protocol_text
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.engines.fake import FakeEngine

SETTINGS = {
    "device": "cpu",
    "pipeline.detect_every": "auto",
    "pipeline.people.smoothing_s": 0.25,
    "pipeline.people.hysteresis": 0.2,
    "pipeline.people.keep_s": 2.0,
    "pipeline.people.hide_unreadable": True,
}
ARTIFACT = {
    "accuracy": 0.681,
    "f1": 0.636,
    "num_faces": 3589,
    "faces": "PublicTest of fer2013.csv",
    "recall": {"happy": 0.9},
    "engine": "ONNX Runtime 1.32.0",
}
PLAIN = {"accuracy": 0.6812, "accuracy_interval": [0.665, 0.696], "f1": 0.635, "ece": 0.038, "num_faces": 3589}


def text_with(tmp_path, *, metrics=None, settings=None, people=None, **spec):
    folder = make_results(tmp_path / "clip", [(0, 7, "happy", 0.9)], people=people)
    summary = Summary.load(folder / "summary.json")
    fingerprint = summary.fingerprint.model_copy(update={"settings": {**SETTINGS, **(settings or {})}})
    summary = summary.model_copy(update={"fingerprint": fingerprint, "software": {"numpy": "2.0"}})
    known = FakeEngine().spec.model_copy(update={"metrics": metrics or {}, **spec})
    return protocol_text(summary, known)


def test_method_and_hashes(tmp_path):
    text = text_with(tmp_path, temperature=0.85, unsure_below=0.36)
    assert text.startswith("# Protocol: clip.mp4\n")
    settings = Summary.load(tmp_path / "clip/summary.json").fingerprint.model_copy(update={"settings": SETTINGS})
    assert f"(1.00 s, 64 x 48 pixels, 10 frames/s) was analyzed with fer-deploy 1.0 (run {settings.run})." in text
    assert "faces were detected in each of them (Haar)" in text
    assert "softmax(logits / 0.85)" in text
    assert "below 0.36." in text
    assert "time constant of 0.25 s" in text
    assert "No baseline was subtracted." in text
    for row in (
        "| numpy | 2.0 |",
        "| fer-deploy | 1.0 |",
        "| model | cd |",
        "| faces.csv | ef |",
        "| device | cpu |",
    ):
        assert row in text


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("pipeline.detect_every", 3, "detected in one of 3 of them"),
        ("sample_fps", 5.0, "frames were analyzed, 5 of each second, and each counts for the time until the next one;"),
        ("start", 0.5, "The part of the video from 0.00 s to 1.00 s (64 x 48 pixels, 10 frames/s) was analyzed"),
        ("pipeline.people.unsure_below", 0.5, 'shown as "unsure" where its smoothed probability was below 0.5.'),
        ("pipeline.people.smoothing_s", 0, "each person were not averaged over time"),
        ("pipeline.people.baseline", "first:10s", "corrected by each person's resting face (first:10s), by 0 at most"),
        ("pipeline.people.neutral_share", 0.6, "corrected for a share of neutral faces of 0.6"),
        ("pipeline.people.hide_unreadable", False, "Faces with quality flags were not excluded."),
    ],
)
def test_settings(tmp_path, setting, value, expected):
    assert expected in text_with(tmp_path, settings={setting: value})


def test_exclusions_are_weighted_by_time(tmp_path):
    people = person(1, 7, visible_s=3), person(2, 3, visible_s=1, shares={"unreadable": 0.65, "sad": 0.35}, flags={})
    text = text_with(tmp_path, people=people)
    assert "35.0% of the time in which people were visible was excluded as unreadable: smaller than 16 pixels" in text
    assert "18.8% of the time was unsure." in text
    assert "Share of this time with each flag: CUT\\_OFF 18.8%." in text
    assert "1 tracks shorter than 1 s (1 faces) were left out." in text


def test_figures_of_the_model(tmp_path):
    metrics = {"artifact": ARTIFACT, "checkpoint": {"PublicTest": {"plain": PLAIN}}}
    text = text_with(tmp_path, metrics=metrics)
    assert "This file (ONNX Runtime 1.32.0) on 3,589 faces of PublicTest of fer2013.csv: accuracy 68.1%;" in text
    assert "macro-F1 0.636; recall happy 90%." in text
    assert "PublicTest (3,589 faces): accuracy 68.1% (95 % interval 66.5% to 69.6%); macro-F1 0.635." in text
    assert "calibration" not in text  # the spec has that of before the temperature


@pytest.mark.parametrize("metrics", [{}, {"artifact": {}}, {"artifact": "?", "checkpoint": 3}, {"loss": 1.0}])
def test_no_figures(tmp_path, metrics):
    assert "The ModelSpec has no measured accuracy." in text_with(tmp_path, metrics=metrics)


def test_words_of_others_are_text(tmp_path):
    text = text_with(tmp_path, settings={"detection.roi": "<b>|`x`\n# no"})
    assert "| detection.roi | \\<b\\>\\|\\`x\\` \\# no |" in text
