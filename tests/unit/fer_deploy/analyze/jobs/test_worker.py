"""Tests for the tasks of a worker, in this worker."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from integration.analyze_videos import SIZE, make_config, make_models, write_squares

from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.jobs import worker
from fer_deploy.analyze.jobs.messages import Draw, Drawn, Failed, Observe, Observed
from fer_deploy.analyze.segments.observations import read_observations
from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.live.seeking.position import Position
from fer_deploy.live.sinks.video.joining import num_frames_in
from fer_deploy.live.sources import open_recording


@pytest.fixture
def video(tmp_path):
    return write_squares(tmp_path / "video.mp4", 61)


@pytest.fixture
def observe(video, tmp_path):
    """Return a function that observes from a position to the end."""
    config = make_config(tmp_path)
    one = worker.Worker(make_models(tmp_path / "engine.onnx"), lambda num: None)
    fingerprint = Fingerprint(video="", engine="", detector="", version="", settings={})

    def run(start: Position, name: str, **more):
        path = tmp_path / name
        task = Observe(video, None, 0, start, 2**31 - 1, SIZE, config.pipeline, fingerprint, path, key="abc", **more)
        return one.reply_to(task), path

    return run


def start_of(video) -> Position:
    recording = Recording(open_recording(video))
    try:
        return recording.reached().position
    finally:
        recording.close()


def test_a_long_segment_is_observed_in_groups(video, observe):
    reply, whole = observe(start_of(video), "whole.parquet")
    assert isinstance(reply, Observed)
    other, grouped = observe(start_of(video), "grouped.parquet", group_frames=24)
    assert other == reply
    assert reply.end.is_end
    assert (pq.ParquetFile(whole).num_row_groups, pq.ParquetFile(grouped).num_row_groups) == (1, 3)
    (rows, about), (same, about_same) = read_observations(whole), read_observations(grouped)
    assert [one.frame for one in rows] == list(range(61))
    for one, two in zip(rows, same, strict=True):
        assert one._replace(faces=()) == two._replace(faces=())
        for face, again in zip(one.faces, two.faces, strict=True):
            assert face.detection == again.detection
            np.testing.assert_array_equal(face.probs, again.probs)
    assert about.model_copy(update={"cpu_s": 0.0}) == about_same.model_copy(update={"cpu_s": 0.0})
    assert (about.key, about.cpu_s > 0) == ("abc", True)


def test_without_a_way_to_the_first_frame_all_before_are_decoded(video, observe):
    predicted = Position(index=48, pts=24_576)
    reply, _ = observe(predicted, "refused.parquet")
    assert isinstance(reply, Failed)
    assert "there is no index of its packets" in str(reply.error)
    reply, path = observe(predicted, "decoded.parquet", decodes=True)
    assert isinstance(reply, Observed)
    assert (reply.start.index, reply.start.is_predicted) == (48, False)
    assert [one.frame for one in read_observations(path)[0]] == list(range(48, 61))


def test_beyond_the_end_a_segment_is_empty(observe):
    reply, path = observe(Position(index=72, pts=36_864), "empty.parquet", decodes=True)
    assert isinstance(reply, Observed)
    assert (reply.start, reply.end.is_end, reply.end.num_taken) == (None, True, 61)
    assert read_observations(path)[0] == []


def test_a_segment_to_which_no_seek_leads_is_drawn_all_the_same(video, tmp_path):
    """Another worker observed it; this one has not opened the video, and there is no index."""
    recording = Recording(open_recording(video))
    for _ in range(24):
        recording.next_frame()
    start = recording.reached().position
    recording.close()
    path, frames = tmp_path / "part.mp4", tuple(range(24, 30))
    none = tuple(() for _ in frames)
    one = worker.Worker(make_models(tmp_path / "engine.onnx"), lambda num: None)
    task = Draw(
        video=video,
        index=None,
        number=1,
        start=start,
        frames=frames,
        faces=none,
        hidden=none,
        anonymize=None,
        labels=("dark", "bright"),
        fps=24,
        size=SIZE,
        codec="mpeg4",
        path=path,
    )
    assert isinstance(one.reply_to(task), Drawn)
    assert num_frames_in(path) == 6
