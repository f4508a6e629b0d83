"""A range of a video, and samples of its frames: their rows are those of the whole analysis."""

import av
import pyarrow.parquet as pq
import pytest
from integration.analyze_jobs import Noted, analyze, contents, make_batch
from integration.analyze_videos import StopAt, make_analysis, make_config, make_models, transport_stream, write_squares
from integration.archive_videos import make_plan, make_run, recipe_of, rows_of_analyze, rows_of_table

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.segments import segments
from fer_deploy.analyze.parts import Parts
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.video_analysis import VideoAnalysis
from fer_deploy.archive.joining.join import join
from fer_deploy.archive.joining.verify import verify
from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live.sources.video import VideoSource

NUM = 240
RANGE = {"start": 3.5, "end": 7.25}
FIRST, AFTER = 84, 174
"""Frames at these times."""
SAMPLES = {"sample_fps": 5.0}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("videos") / "video.mp4", NUM)


@pytest.fixture(scope="module")
def whole(video, tmp_path_factory):
    """Faces and frames of the whole video."""
    return rows_of_analyze(video, tmp_path_factory.mktemp("whole"))


def rows(folder):
    return [pq.read_table(folder / f"faces.{kind}").to_pylist() for kind in ("parquet", "frames.parquet")]


def raw(faces):
    """What does not depend on other frames."""
    names = ("frame", "time_s", "x1", "y1", "x2", "y2", "score", "emotion", "p_dark", "p_bright", "sharpness")
    return [[face[name] for name in names] for face in faces]


def test_a_range_has_the_rows_of_the_whole(video, whole, tmp_path, monkeypatch):
    decoded = []
    unconverted = VideoSource.unconverted
    monkeypatch.setattr(
        VideoSource, "unconverted", lambda self: (decoded.append(one) or one for one in unconverted(self))
    )
    summary = make_analysis(video, tmp_path, **RANGE).run()
    faces, frames = rows(tmp_path / "video")
    assert [frame["frame"] for frame in frames] == list(range(FIRST, AFTER))
    assert raw(faces) == raw(face for face in whole[0] if FIRST <= face["frame"] < AFTER)
    assert len(decoded) < AFTER - FIRST + 10, "the frames before are not decoded"
    counts = summary.accounting
    assert (counts.num_announced, counts.num_before_start, counts.num_decoded) == (NUM, FIRST, AFTER - FIRST)
    assert (counts.num_analyzed, counts.num_missing, counts.num_left_out) == (AFTER - FIRST, 0, 0)
    assert (summary.start_s, summary.duration_s, summary.trouble) == (3.5, 7.25, "")
    assert summary.notes == ("covers 0:03.50 to 0:07.25 of the video",)
    assert [person.visible_s for person in summary.people] == [3.75, 3.75]
    assert [(person.first_s, person.last_s) for person in summary.people] == [(3.5, 7.25)] * 2
    page = (tmp_path / "video/report.html").read_text()
    assert "The analysis covers 0:03.50 to 0:07.25 of the video." in page
    assert f"before the range<td>{FIRST}" in page


def test_samples_count_for_the_time_until_the_next(video, whole, tmp_path):
    summary = make_analysis(video, tmp_path, **SAMPLES).run()
    faces, frames = rows(tmp_path / "video")
    expected = [0, 5, 10, 15, 20, 24, 29]
    assert [frame["frame"] for frame in frames][:7] == expected
    assert len(frames) == 50 == summary.accounting.num_analyzed
    assert raw(faces) == raw(face for face in whole[0] if face["frame"] in {frame["frame"] for frame in frames})
    assert (summary.accounting.num_left_out, summary.accounting.num_decoded) == (NUM - 50, NUM)
    assert summary.duration_s == 10.0
    assert [person.visible_s for person in summary.people] == [10.0, 10.0]
    table = segments(tmp_path / "video", [Event("a", 0.0, 10.0), Event("b", 9.0, 10.0), Event("c", 0.1, 0.3)])
    seen = table.select(["person", "visible_s"]).to_pylist()
    assert [row["visible_s"] for row in seen] == [10.0, 1.0, 0.2] * 2
    times = video_times(tmp_path / "video/annotated.mp4")
    assert times == pytest.approx([frame["time_s"] for frame in frames], abs=0.001)


def video_times(path):
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_the_annotated_video_begins_with_the_range(video, tmp_path):
    make_analysis(video, tmp_path, **RANGE, **SAMPLES).run()
    _, frames = rows(tmp_path / "video")
    times = video_times(tmp_path / "video/annotated.mp4")
    assert times == pytest.approx([frame["time_s"] - 3.5 for frame in frames], abs=0.001)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(RANGE, marks=pytest.mark.slow),
        pytest.param(SAMPLES, marks=pytest.mark.slow),
        {"start": 3.5, "end": 6.5, "sample_fps": 1.0, "segment_frames": 12},  # some segments have no sample
    ],
)
def test_several_processes_change_nothing(video, settings, tmp_path):
    for jobs in (1, 2):
        progress = Noted()
        (outcome,) = analyze([video], tmp_path / str(jobs), jobs=jobs, progress=progress, **settings)
        assert outcome.failure is None
        assert progress.notes == []
    assert contents(tmp_path / "2") == contents(tmp_path / "1")


@pytest.mark.parametrize("kind", ["mp4", "ts"])
def test_a_stopped_run_goes_on(video, kind, tmp_path):
    settings = RANGE | SAMPLES
    path = transport_stream(video) if kind == "ts" else video
    make_analysis(path, tmp_path / "whole", **settings).run()
    progress = StopAt()
    analysis = progress.analysis = make_analysis(path, tmp_path / "stopped", progress=progress, **settings)
    with pytest.MonkeyPatch.context() as patch:
        sync = Parts.sync
        patch.setattr(Parts, "sync", lambda self, segment: sync(self, segment) or (segment == 1 and analysis.stop()))
        assert analysis.run() is None
    assert analysis.num_frames_kept == 10
    assert make_analysis(path, tmp_path / "stopped", **settings).run() is not None
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_file_that_cannot_be_sought_is_decoded(video, whole, tmp_path):
    path = tmp_path / "video.h264"
    with av.open(str(video)) as source, av.open(str(path), "w", format="h264") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    for jobs in (1, 2):
        (outcome,) = analyze([path], tmp_path / str(jobs), jobs=jobs, start=4.0, video=False)
        assert outcome.failure is None
        assert outcome.summary.accounting.num_analyzed == NUM - outcome.summary.accounting.num_before_start
        assert outcome.summary.start_s >= 4.0


def test_another_range_is_refused(video, tmp_path):
    make_analysis(video, tmp_path, video=False, **RANGE).run()
    with pytest.raises(ConfigError, match=r"this run has end 8.0 instead of 7.25. Fix: --restart"):
        make_analysis(video, tmp_path, video=False, **RANGE | {"end": 8.0}).run()
    with pytest.raises(ConfigError, match=r"sample_fps 5.0 instead of unset"):
        make_analysis(video, tmp_path, video=False, **RANGE, **SAMPLES).run()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_range_beyond_one_of_several_videos(video, jobs, tmp_path):
    short = write_squares(tmp_path / "short.mp4", 48)
    outcomes = make_batch([short, video], tmp_path / "out", jobs=jobs, start=3.5, video=False).run(lambda one: None)
    failed, done = sorted(outcomes, key=lambda one: one.failure is None)
    assert (failed.video, done.video) == (short, video)
    assert isinstance(failed.failure, StreamError)
    assert "short.mp4 ends at 2.00 s, but start (--start) is 3.5 s. Fix: a start before its end" in str(failed.failure)
    assert done.summary.accounting.num_analyzed == NUM - FIRST


def test_a_range_between_two_frames(video, tmp_path):
    with pytest.raises(
        StreamError, match=r"no frame in the range: start \(--start\) is 2.01 s, and end \(--end\) 2.02"
    ):
        make_analysis(video, tmp_path, start=2.01, end=2.02).run()


def test_a_range_beyond_the_end_is_cut(video, tmp_path):
    summary = make_analysis(video, tmp_path, start=9.0, end=20.0, video=False).run()
    assert (summary.duration_s, summary.accounting.num_missing) == (10.0, 0)
    assert "ends with the video at 0:10.00" in summary.notes


def test_an_archive_has_the_samples_of_analyze(video, tmp_path):
    engine = tmp_path / "engine.onnx"
    store, manifest = make_plan([str(video)], str(tmp_path / "out"), engine, **SAMPLES)
    make_run(store, manifest, recipe_of(engine)).run()
    join(store, manifest)
    assert verify(store, manifest).notes == []
    faces, frames = rows_of_analyze(video, tmp_path / "analyzed", **SAMPLES)
    assert rows_of_table(tmp_path / "out", "faces", "video") == faces
    assert rows_of_table(tmp_path / "out", "frames", "video") == frames
    assert len(frames) == 50


def test_five_frames_a_second_of_real_people(shared_dir, tmp_path):
    """The people are those of every frame, and nearly as long in view."""
    clip = shared_dir / "clips/face-demographics-walking-and-pause.gif"
    models = make_models(tmp_path / "engine.onnx")._replace(detectors=build_detectors(DetectorConfig()))
    found = {}
    for name, settings in (("every", {}), ("five", SAMPLES)):
        config = make_config(tmp_path / name, video=False, **settings)
        found[name] = VideoAnalysis(clip, tmp_path / name / "clip", config, models, AnalysisProgress()).run()
    every, five = found["every"], found["five"]
    assert (every.accounting.num_analyzed, five.accounting.num_analyzed) == (41, 17)
    assert every.duration_s == five.duration_s
    assert len(every.people) == len(five.people) == 3
    for one, same in zip(every.people, five.people, strict=True):
        assert abs(one.visible_s - same.visible_s) <= 0.2
