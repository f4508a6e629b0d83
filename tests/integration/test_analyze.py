"""One video from file to report, with fakes for the models."""

import gc
import json
import re
import threading
import weakref

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from integration.analyze_videos import (
    FPS,
    SIZE,
    StopAt,
    make_analysis,
    make_config,
    make_models,
    picture,
    stop_after_segments,
    write_squares,
)
from integration.live_fakes import num_video_frames

from fer_deploy.analyze import results
from fer_deploy.analyze.parts import Parts
from fer_deploy.analyze.video_analysis import VideoAnalysis
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import CsvSink
from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.live.sources.video import open_file

NUM = 3 * 24 + 5
RESULTS = [
    "annotated.mp4",
    "faces.csv",
    "faces.frames.csv",
    "faces.frames.parquet",
    "faces.parquet",
    "people.parquet",
    "report.html",
    "summary.json",
    "timeline.png",
]


@pytest.fixture
def video(tmp_path):
    return write_squares(tmp_path / "squares.mp4", NUM)


class TestWhole:
    def test_results(self, video, tmp_path):
        summary = make_analysis(video, tmp_path / "out").run()
        folder = tmp_path / "out/squares"
        assert sorted(path.name for path in folder.iterdir()) == RESULTS
        counts = summary.accounting
        assert (counts.num_announced, counts.num_decoded, counts.num_skipped, counts.num_analyzed) == (NUM, NUM, 0, NUM)
        assert (counts.num_with_faces, counts.num_faces) == (NUM, 2 * NUM)
        assert [(person.number, person.num_faces) for person in summary.people] == [(1, NUM), (2, NUM)]
        person = summary.people[0]
        assert person.visible_s == pytest.approx(NUM / FPS, abs=0.01)
        assert person.visible_s == pytest.approx(person.last_s - person.first_s, abs=1e-3)
        assert sum(summary.people[0].shares.values()) == pytest.approx(1, abs=0.001)
        assert num_video_frames(folder / "annotated.mp4") == NUM
        faces = pq.read_table(folder / "faces.parquet")
        assert faces["frame"].to_pylist() == np.repeat(np.arange(NUM), 2).tolist()
        assert (folder / "faces.csv").read_text().count("\n") == 2 * NUM + 1
        assert (folder / "faces.frames.csv").read_text().count("frame,") == 1
        assert json.loads((folder / "summary.json").read_text()) == summary.model_dump(mode="json")

    def test_segments_change_nothing(self, video, tmp_path):
        """The table is that of one run of the live loop over the whole video."""
        summary = make_analysis(video, tmp_path / "out").run()
        models = make_models(tmp_path / "engine.onnx")
        sink = CsvSink(tmp_path / "live.csv", models.engine.spec.labels, run=summary.fingerprint)
        config = make_config(tmp_path / "out").pipeline
        LivePipeline(open_file(video), models.detectors, models.engine, [sink], config=config).run()
        assert (tmp_path / "out/squares/faces.csv").read_bytes() == (tmp_path / "live.csv").read_bytes()

    def test_without_a_video(self, video, tmp_path):
        make_analysis(video, tmp_path / "out", video=False).run()
        without = [name for name in RESULTS if name not in ("annotated.mp4", "people.parquet")]
        assert sorted(path.name for path in (tmp_path / "out/squares").iterdir()) == without

    def test_pictures_of_people_only_where_they_are_wanted(self, video, tmp_path):
        """Without an annotated video there are none, unless asked for, and a restart leaves none behind."""
        folder = tmp_path / "out/squares"
        make_analysis(video, tmp_path / "out", video=False, thumbnails=True).run()
        assert pq.read_table(folder / "people.parquet")["track"].to_pylist() == [1, 2]
        assert (folder / "report.html").read_text().count('<img src="data:image/jpeg;base64,') == 2
        make_analysis(video, tmp_path / "out", thumbnails=False).run(restart=True)
        assert not (folder / "people.parquet").exists()
        assert "image/jpeg;base64,/9j" not in (folder / "report.html").read_text()

    def test_covered_faces_are_covered_in_pictures(self, video, tmp_path):
        make_analysis(video, tmp_path / "out", pipeline={"anonymize": "box"}).run()
        for jpeg in pq.read_table(tmp_path / "out/squares/people.parquet")["thumbnail"].to_pylist():
            thumbnail = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            middle = thumbnail[thumbnail.shape[0] // 2, thumbnail.shape[1] // 2]
            assert middle.astype(int) == pytest.approx([64] * 3, abs=8)

    def test_a_recording_that_cannot_be_read_twice(self, video, tmp_path, monkeypatch, caplog):
        """The report is written without pictures."""

        def gone(*args, **settings):
            raise StreamError("cannot read the video squares.mp4: no such file. Fix: check the path")

        monkeypatch.setattr(results, "take_pictures", gone)
        assert make_analysis(video, tmp_path / "out").run() is not None
        assert "no pictures of people in the report: cannot read the video squares.mp4: no such file" in caplog.text
        assert not (tmp_path / "out/squares/people.parquet").exists()

    def test_the_report_loads_nothing(self, video, tmp_path):
        make_analysis(video, tmp_path / "out").run()
        page = (tmp_path / "out/squares/report.html").read_text()
        assert "Person 1" in page
        assert "not what a person feels" in page
        assert "http" not in page.replace("http-equiv", "")
        assert not re.findall('src="(?!data:)', page)

    def test_again_is_done_already(self, video, tmp_path):
        first = make_analysis(video, tmp_path / "out").run()
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/squares").iterdir()}
        assert make_analysis(video, tmp_path / "out", progress=StopAt()).run() == first
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/squares").iterdir()} == before

    def test_the_video_keeps_uneven_times(self, tmp_path):
        """Phones record at an uneven rate; parts must not even that out."""
        path = tmp_path / "uneven.mp4"
        times = [index / FPS + (0.5 if index >= 30 else 0) for index in range(60)]
        encoder = VideoEncoder(path, size=SIZE, fps=FPS, is_live=True)
        for index, time_s in enumerate(times):
            encoder.add(picture(index), time_s)
        encoder.close()
        make_analysis(path, tmp_path / "out").run()
        annotated = [frame.time_s for frame in open_file(tmp_path / "out/uneven/annotated.mp4").frames()]
        assert annotated == pytest.approx(times, abs=0.002)


class TestGoingOn:
    def test_from_the_last_segment(self, video, tmp_path):
        stop_after_segments(video, tmp_path / "out", 2)
        assert not (tmp_path / "out/squares/summary.json").exists()
        engine = FakeEngine()
        analysis = make_analysis(video, tmp_path / "out")
        analysis._models = analysis._models._replace(engine=engine)
        summary = analysis.run()
        assert summary.accounting.num_analyzed == NUM
        assert sum(engine.batch_sizes) == 2 * (NUM - 48)

    def test_stop_while_skipping(self, video, tmp_path, monkeypatch):
        stop_after_segments(video, tmp_path / "out", 1)
        monkeypatch.setattr(VideoAnalysis, "_index", lambda *_: None)  # so that frames are decoded, not skipped
        progress = StopAt(skipped=5)
        analysis = progress.analysis = make_analysis(video, tmp_path / "out", progress=progress)
        assert analysis.run() is None
        assert (progress.begun, progress.skipped) == ([(24, NUM)], list(range(6)))

    def test_more_workers_may_go_on(self, video, tmp_path):
        stop_after_segments(video, tmp_path / "out", 1)
        assert make_analysis(video, tmp_path / "out", pipeline={"workers": 3}).run().accounting.num_analyzed == NUM

    @pytest.mark.parametrize("finished", [False, True])
    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            ({"video": False}, "--no-video instead of --video"),
            ({"pipeline": {"people": {"smoothing_s": 2.0}}}, "pipeline.people.smoothing_s 2.0 instead of "),
            ({"segment_frames": 48}, "segment_frames 48 instead of 24"),
        ],
    )
    def test_other_settings(self, video, tmp_path, settings, text, finished):
        if finished:
            make_analysis(video, tmp_path / "out").run()
        else:
            stop_after_segments(video, tmp_path / "out", 1)
        with pytest.raises(ConfigError, match=f"has results of another analysis; this run has {text}.*Fix: --restart"):
            make_analysis(video, tmp_path / "out", **settings).run()
        assert make_analysis(video, tmp_path / "out", **settings).run(restart=True).accounting.num_analyzed == NUM

    def test_another_video(self, video, tmp_path):
        stop_after_segments(video, tmp_path / "out", 1)
        write_squares(video, NUM, squares=1)
        with pytest.raises(ConfigError, match="this run has another video of that name"):
            make_analysis(video, tmp_path / "out").run()

    def test_another_model(self, video, tmp_path):
        stop_after_segments(video, tmp_path / "out", 1)
        analysis = make_analysis(video, tmp_path / "out")
        (tmp_path / "engine.onnx").write_bytes(b"another")
        with pytest.raises(ConfigError, match="this run has another model"):
            analysis.run()

    def test_a_damaged_checkpoint(self, video, tmp_path):
        stop_after_segments(video, tmp_path / "out", 1)
        checkpoint = tmp_path / "out/squares/parts/checkpoint.json"
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
        with pytest.raises(ConfigError, match=r"is not a checkpoint of this version: .* Fix: --restart"):
            make_analysis(video, tmp_path / "out").run()
        assert make_analysis(video, tmp_path / "out").run(restart=True) is not None

    def test_only_one_at_a_time(self, video, tmp_path):
        with (
            Parts(tmp_path / "out/squares/parts"),
            pytest.raises(ConfigError, match="another fer-deploy analyze is running in"),
        ):
            make_analysis(video, tmp_path / "out").run()


def test_a_lost_row_is_an_error(video, tmp_path, monkeypatch):
    counted = results.num_rows_in_csv
    monkeypatch.setattr(results, "num_rows_in_csv", lambda path: counted(path) - 1)
    with pytest.raises(StreamError, match=f"faces.csv has {2 * NUM - 1} faces, expected {2 * NUM}; faces.frames"):
        make_analysis(video, tmp_path / "out").run()


def test_no_loop_stays(video, tmp_path, monkeypatch):
    """A loop holds an encoder with megabytes; a video of hours has hundreds of segments."""
    loops = []

    class WatchedLoop(LivePipeline):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            assert [loop() for loop in loops] == [None] * len(loops)
            loops.append(weakref.ref(self))

    monkeypatch.setattr("fer_deploy.analyze.video_analysis.LivePipeline", WatchedLoop)
    gc.disable()
    try:
        make_analysis(video, tmp_path / "out").run()
    finally:
        gc.enable()
    assert len(loops) == 4


def test_no_threads_stay(video, tmp_path):
    before = threading.active_count()
    make_analysis(video, tmp_path / "out").run()
    assert threading.active_count() == before
