"""Observations of segments, computed in any order and replayed, are the results of one live loop."""

import random

import pytest
from cases.media_files import write_film
from unit.fer_deploy.analyze.segments.guests import NUM, make_guest_models, write_guests

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.models import opened_models
from fer_deploy.analyze.segments.observations import SegmentAbout, read_observations, write_observations
from fer_deploy.analyze.segments.observing import observe
from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.analyze.segments.replay import replay
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.seeking.opening import open_at
from fer_deploy.live.seeking.packet_index import index_of_file
from fer_deploy.live.sources.video import open_file
from fer_deploy.vision.tracking.people import People


def results_of_live_loop(video, models, config):
    """Return index, time, size and faces of each frame."""
    loop = LivePipeline(open_file(video), models.detectors, models.engine, config=config.pipeline)
    return [(one.frame.index, one.frame.time_s, one.frame.size, one.faces) for one in loop]


def observed_files(video, models, config, folder):
    """Observe the segments in random order, each with a reader of its own; return the files in order."""
    first = Recording(open_file(video))
    size, position, index = first.peek().size, first.reached().position, index_of_file(video)
    first.close()
    fingerprint = Fingerprint.of(video, config, engine=models.engine_file, detector=models.detector_file)
    starts = [position]
    while (position := index.ahead(starts[-1], config.frames_per_segment, size=size)) is not None:
        starts.append(position)
    work = list(enumerate(starts))
    random.Random(3).shuffle(work)
    for number, start in work:
        recording = Recording.at(open_at(video, start, index), start)
        found = recording.reached().position
        seen = observe(recording, config.frames_per_segment, models, config=config.pipeline, first_size=size)
        about = SegmentAbout(
            fingerprint=fingerprint,
            number=number,
            labels=models.engine.spec.labels,
            start=found,
            end=recording.reached(),
        )
        recording.close()
        write_observations(folder / f"{number:06}.parquet", seen, about)
    return sorted(folder.iterdir())


def results_of_replay(files, models, config):
    spec = models.engine.spec
    people, end, results = People(config.pipeline.people.for_model(spec), spec.labels), None, []
    for file in files:
        observations, about = read_observations(file)
        assert end in (None, about.start)
        end = about.end.position
        found = replay(observations, people, spec.labels)
        results += [(one.frame.index, one.frame.time_s, one.frame.size, one.faces) for one in found]
        # As a checkpoint does it.
        people = People.from_state(config.pipeline.people.for_model(spec), spec.labels, people.state())
    assert end is None
    return results


@pytest.mark.parametrize("people", [{}, {"baseline": "first:1s"}, {"baseline": "running", "baseline_cap": 0.5}])
def test_people_who_come_and_go(tmp_path, people):
    video = write_guests(tmp_path / "guests.mp4")
    (tmp_path / "parts").mkdir()
    config = AnalyzeConfig.model_validate(
        {"out": tmp_path / "out", "segment_frames": 24, "pipeline": {"people": people}}
    )
    models = make_guest_models(tmp_path / "engine.onnx")
    models.engine._spec = models.engine.spec.model_copy(update={"labels": ("neutral", "bright")})
    expected = results_of_live_loop(video, models, config)
    files = observed_files(video, models, config, tmp_path / "parts")
    assert len(files) == 7
    assert results_of_replay(files, models, config) == expected
    assert len(expected) == NUM
    faces = [face for _, _, _, faces in expected for face in faces]
    assert len({face.face.track_id for face in faces}) >= 4
    assert {face.person for face in faces} >= {None, 1, 2, 3}
    assert all(face.quality is not None for face in faces)
    assert all((face.corrected is not None) == bool(people) for face in faces)
    changed = [face for face in faces if face.corrected and abs(face.corrected.probs[0] - face.emotion.probs[0]) > 0.1]
    assert bool(changed) == bool(people)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.slow  # real frames are large
@pytest.mark.parametrize("clip", ["face-demographics-walking-and-pause", "head-pose-face-detection-female-and-male"])
def test_real_people(clip, tmp_path, shared_dir):
    source = open_file(shared_dir / f"clips/{clip}.gif")  # it has one keyframe; the film has three
    pictures = [frame.frame_bgr for frame, _ in zip(source.frames(), range(28), strict=False)]
    source.close()
    video = write_film(tmp_path / "clip.mp4", pictures, options={"x264-params": "keyint=10"})
    (tmp_path / "parts").mkdir()
    config = AnalyzeConfig(out=tmp_path / "out", segment_frames=12, detection={"detector": "haar"})
    with opened_models(config) as models:
        expected = results_of_live_loop(video, models, config)
        files = observed_files(video, models, config, tmp_path / "parts")
        assert results_of_replay(files, models, config) == expected
    assert sum(len(faces) for _, _, _, faces in expected) > 5
