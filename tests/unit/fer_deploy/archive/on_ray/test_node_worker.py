"""A worker of a node, without Ray: what it says if its node lacks something."""

import hashlib
from unittest.mock import Mock

import pytest
from integration.analyze_videos import write_squares
from integration.archive_videos import make_plan, recipe_of

from fer_deploy.analyze.jobs.messages import Failed
from fer_deploy.archive.manifest import NAME, Manifest
from fer_deploy.archive.on_ray.node_worker import Finished, Job, NodeWorker, Skipped, Unfit
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.staging import ScratchFull
from fer_deploy.archive.work import all_work
from fer_deploy.errors import MissingDependencyError


@pytest.fixture
def archive(tmp_path):
    film = write_squares(tmp_path / "film.mp4", 30)
    return make_plan([str(film)], str(tmp_path / "out"), tmp_path / "engine.onnx")


@pytest.fixture
def job(archive, tmp_path):
    store, manifest = archive
    digest = hashlib.sha256(store.read(NAME)).hexdigest()
    recipe = recipe_of(tmp_path / "engine.onnx")
    video, ids = str(tmp_path / "film.mp4"), frozenset(manifest.rows)
    return Job(store.absolute, digest, ids, manifest.about, recipe, tmp_path / "scratch", 1, video)


def changed(job: Job, **values) -> Job:
    return Job(**{**vars(job), **values})


def no_models():
    raise MissingDependencyError("no onnxruntime. Fix: install it")


def test_a_segment_is_sent_once(archive, job, tmp_path):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() == ""
    work = all_work(manifest, plans(manifest, store))[0]
    before, _ = worker.heartbeat()
    assert worker.compute(work) == Finished(30)
    assert worker.heartbeat()[0] > before
    assert worker.compute(work) == Skipped()
    worker.leave()
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"address": "/no/such/folder"}, "/no/such/folder has no manifest there. Fix: an output that all nodes share"),
        (
            {"manifest": "0" * 64, "ids": frozenset({"0"})},
            "has another manifest there. Fix: an output that all nodes share",
        ),
        ({"video": "/no/such/film.mp4"}, "/no/such/film.mp4 is not there. Fix: mount the videos under the same path"),
        ({"recipe": no_models}, "no onnxruntime. Fix: install it"),
    ],
)
def test_a_node_says_what_it_lacks(job, values, text):
    why = NodeWorker(changed(job, **values)).open()
    assert why.startswith("on ")
    assert text in why


def test_a_plan_beside_the_run_adds_videos(archive, job, tmp_path):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() == ""
    another = write_squares(tmp_path / "another.mp4", 30)
    make_plan([str(tmp_path / "film.mp4"), str(another)], str(tmp_path / "out"), tmp_path / "engine.onnx")
    assert len(Manifest.load(store).rows) == 2
    assert NodeWorker(job).open() == ""  # of a worker that is started later
    work = all_work(manifest, plans(manifest, store))[0]
    reply = worker.compute(work._replace(segment=work.segment._replace(start="{}")))
    assert isinstance(reply, Failed)  # the segment failed; the node is not to blame


def test_another_model_on_a_node_is_refused(job, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another model")
    assert "another model (--engine)" in NodeWorker(changed(job, recipe=recipe_of(other))).open()


def test_a_node_that_loses_the_output_is_to_blame(archive, job, tmp_path):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() == ""
    (tmp_path / "film.mp4").unlink()
    reply = worker.compute(all_work(manifest, plans(manifest, store))[0])
    assert isinstance(reply, Unfit)
    assert "film.mp4 is not there" in reply.why


def test_a_node_whose_disk_is_full_is_to_blame(archive, job, monkeypatch):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() == ""
    monkeypatch.setattr(worker._staging, "use", Mock(side_effect=ScratchFull("no space. Fix: another --scratch")))
    reply = worker.compute(all_work(manifest, plans(manifest, store))[0])
    assert isinstance(reply, Unfit)
    assert reply.why.endswith(": no space. Fix: another --scratch")
