"""What the report's script gets: timelines as bytes, and where the video may be."""

from base64 import b64decode

import numpy as np
import pytest
from unit.fer_deploy.analyze.report.test_timeline import make_summary, make_timelines

from fer_deploy.analyze.report.page import MOST_CARDS, report_html
from fer_deploy.analyze.report.page_data import page_data
from fer_deploy.analyze.report.people_seen import MAX_BINS, Timeline

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")


def test_bytes_of_a_person():
    summary = make_summary(2)
    data = page_data(summary, {11: make_timelines(summary)[11]}, [], {})
    (person,) = data["people"]
    assert (data["bins"], data["duration"], person["number"], person["name"]) == (50, 60.0, 1, "")
    assert person["runs"] == [[0, 20], [30, 20]]
    shares = np.frombuffer(b64decode(person["shares"]), np.uint8).reshape(-1, 3)
    assert shares.shape == (40, 3)
    assert shares[0].tolist() == [128, 128, 0]
    assert shares[5].tolist() == [64, 64, 128]
    flags = np.frombuffer(b64decode(person["flags"]), "<u2")
    assert [data["flags"][bit] for bit in range(9) if flags[5] & (1 << bit)] == ["low sharpness"]
    assert flags[0] == 0


def test_a_key_for_each_video():
    keys = [page_data(make_summary(1, video=name), {}, [], {})["key"] for name in ("a.mp4", "a.mp4", "b.mp4")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("video", "files", "anonymize", "expected"),
    [
        ("a b.mp4", ["faces.csv", "annotated.mp4"], None, ["annotated.mp4"]),
        ("a b.mp4", ["faces.csv"], None, ["../../a%20b.mp4", "../a%20b.mp4", "a%20b.mp4"]),
        ("javascript:f().mp4", [], None, [f"{near}javascript%3Af%28%29.mp4" for near in ("../../", "../", "")]),
        ("a.mp4", ["faces.csv"], "blur", []),
        ("a.mp4", ["annotated.mp4"], "blur", ["annotated.mp4"]),
    ],
)
def test_where_the_video_may_be(video, files, anonymize, expected):
    """Where faces were covered, the recording with uncovered ones is not looked for."""
    summary = make_summary(1, video=video)
    settings = {"pipeline.anonymize": anonymize}
    summary = summary.model_copy(update={"fingerprint": summary.fingerprint.model_copy(update={"settings": settings})})
    assert page_data(summary, {}, files, {})["sources"] == expected


def test_hours_with_many_people_are_a_small_page():
    """Two hours in which everybody is visible all the time."""
    summary = make_summary(MOST_CARDS + 6, duration_s=7200.0).model_copy(update={"labels": LABELS})
    edges_s = np.linspace(0, 7200, MAX_BINS + 1)
    random = np.random.default_rng(1)
    timelines = {
        person.track: Timeline(
            edges_s,
            random.dirichlet(np.ones(9), MAX_BINS),
            random.integers(0, 512, MAX_BINS).astype(np.uint16),
            np.full(MAX_BINS, 54),
        )
        for person in summary.people[:MOST_CARDS]
    }
    assert len(report_html(summary, timelines, ["faces.csv"])) < 1_600_000
