"""A worker of a node, without Ray: what it says if its node lacks something."""

import errno
from unittest.mock import Mock

import pytest
from fsspec.implementations.local import LocalFileSystem
from integration.analyze_videos import write_squares
from integration.archive_videos import make_plan, recipe_of

from fer_deploy.analyze.jobs.messages import Failed
from fer_deploy.archive import store as archive_store
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.on_ray.node_worker import Finished, Job, NodeWorker, Skipped, Unfit
from fer_deploy.archive.scratch import ScratchFull
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.work import all_work
from fer_deploy.errors import MissingDependencyError


@pytest.fixture
def archive(tmp_path):
    film = write_squares(tmp_path / "film.mp4", 30)
    return make_plan([str(film)], str(tmp_path / "out"), tmp_path / "engine.onnx")


@pytest.fixture
def job(archive, tmp_path):
    job = Job.of(*archive, recipe_of(tmp_path / "engine.onnx"), scratch=tmp_path / "scratch")
    assert job.videos == (str(tmp_path / "film.mp4"),)
    return job


def changed(job: Job, **values) -> Job:
    return Job(**{**vars(job), **values})


def no_models():
    raise MissingDependencyError("no onnxruntime. Fix: install it")


def test_a_segment_is_sent_once(archive, job, tmp_path):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() is None
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
        ({"videos": ("/no/film.mp4",)}, "/no/film.mp4 is not there. Fix: mount the videos under the same path"),
        (
            {"videos": ("/no/a.mp4", "/no/b.mp4")},
            "/no/a.mp4 is not there, and so are 1 others. Fix: mount the videos under the same path",
        ),
        ({"recipe": no_models}, "no onnxruntime. Fix: install it"),
    ],
)
def test_a_node_says_what_it_lacks(job, values, text):
    unfit = NodeWorker(changed(job, **values)).open()
    assert unfit.why.startswith("on ")
    assert text in unfit.why
    assert not unfit.passes


def test_an_output_that_is_away_when_a_worker_starts_may_be_back(job, monkeypatch):
    monkeypatch.setattr(LocalFileSystem, "cat_file", Mock(side_effect=OSError(errno.ESTALE, "Stale file handle")))
    unfit = NodeWorker(job).open()
    assert "Stale file handle" in unfit.why
    assert unfit.passes


def test_a_plan_beside_the_run_adds_videos(archive, job, tmp_path):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() is None
    another = write_squares(tmp_path / "another.mp4", 30)
    make_plan([str(tmp_path / "film.mp4"), str(another)], str(tmp_path / "out"), tmp_path / "engine.onnx")
    assert len(Manifest.load(store).rows) == 2
    assert NodeWorker(job).open() is None  # of a worker that is started later
    work = all_work(manifest, plans(manifest, store))[0]
    reply = worker.compute(work._replace(segment=work.segment._replace(start="{}")))
    assert isinstance(reply, Failed)  # the segment failed; the node is not to blame


def test_another_model_on_a_node_is_refused(job, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another model")
    unfit = NodeWorker(changed(job, recipe=recipe_of(other))).open()
    assert "another model (--engine)" in unfit.why
    assert not unfit.passes


def test_a_node_that_loses_the_output_is_to_blame(archive, job, tmp_path):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() is None
    (tmp_path / "film.mp4").unlink()
    reply = worker.compute(all_work(manifest, plans(manifest, store))[0])
    assert isinstance(reply, Unfit)
    assert "film.mp4 is not there" in reply.why
    assert reply.passes


def test_a_video_that_is_removed_is_to_blame_if_others_are_there(archive, job, tmp_path):
    store, manifest = archive
    other = write_squares(tmp_path / "other.mp4", 30)
    worker = NodeWorker(changed(job, videos=(*job.videos, str(other))))
    assert worker.open() is None
    (tmp_path / "film.mp4").unlink()
    assert isinstance(worker.compute(all_work(manifest, plans(manifest, store))[0]), Failed)


def test_one_failed_write_costs_nothing(archive, job, monkeypatch):
    store, manifest = archive
    monkeypatch.setattr(archive_store, "_WAITS_S", (0.0, 0.0))
    worker = NodeWorker(job)
    assert worker.open() is None
    put, faults = LocalFileSystem.put_file, [OSError(errno.EIO, "Input/output error")]

    def put_file(self, *args, **settings):
        if faults:
            raise faults.pop()
        return put(self, *args, **settings)

    monkeypatch.setattr(LocalFileSystem, "put_file", put_file)
    assert worker.compute(all_work(manifest, plans(manifest, store))[0]) == Finished(30)
    assert faults == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_an_output_that_can_be_read_alone_costs_no_try(archive, job, monkeypatch, number):
    store, manifest = archive
    worker, work = NodeWorker(job), all_work(manifest, plans(manifest, store))[0]
    assert worker.open() is None
    with monkeypatch.context() as refused:
        refused.setattr(LocalFileSystem, "put_file", Mock(side_effect=OSError(number, "it is refused")))
        reply = worker.compute(work)
    assert isinstance(reply, Unfit)
    assert reply.passes
    assert f"cannot write {work.name} in {store}" in reply.why
    assert worker.compute(work) == Finished(30)


def test_an_output_that_is_away_for_longer_costs_no_try(archive, job, monkeypatch):
    store, manifest = archive
    monkeypatch.setattr(archive_store, "_WAITS_S", ())
    worker, work = NodeWorker(job), all_work(manifest, plans(manifest, store))[0]
    assert worker.open() is None
    with monkeypatch.context() as away:
        for name in ("put_file", "cat_file"):
            away.setattr(LocalFileSystem, name, Mock(side_effect=OSError(errno.ESTALE, "Stale file handle")))
        reply = worker.compute(work)
    assert isinstance(reply, Unfit)
    assert reply.passes
    assert worker.compute(work) == Finished(30)


def test_a_folder_for_copies_that_cannot_be_written_is_named_as_the_user_did(archive, job, tmp_path, monkeypatch):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() is None
    monkeypatch.setattr(
        "fer_deploy.files.durable.whole_file", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    )
    reply = worker.compute(all_work(manifest, plans(manifest, store))[0])
    assert isinstance(reply, Unfit)
    assert reply.passes
    assert f"cannot write to the folder for copies in {tmp_path / 'scratch'}: No space left on device. " in reply.why


def test_a_node_whose_disk_is_full_is_to_blame(archive, job, monkeypatch):
    store, manifest = archive
    worker = NodeWorker(job)
    assert worker.open() is None
    monkeypatch.setattr(worker._staging, "use", Mock(side_effect=ScratchFull("no space. Fix: another --scratch")))
    reply = worker.compute(all_work(manifest, plans(manifest, store))[0])
    assert isinstance(reply, Unfit)
    assert reply.why.endswith(": no space. Fix: another --scratch")
