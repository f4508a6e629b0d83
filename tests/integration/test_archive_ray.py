"""Archives on a Ray cluster of three nodes: equal rows, and nodes, drivers, videos and workers that fail."""

import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from integration.analyze_videos import write_squares
from integration.archive_models import poisoned, trapped
from integration.archive_videos import NUM_FRAMES, make_plan, make_run, make_videos, recipe_of, rows_of_table

from fer_deploy.archive.dead_letters import dead_letters
from fer_deploy.archive.joining.join import join
from fer_deploy.archive.joining.verify import verify
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.store import Store
from fer_deploy.archive.todo import Ended
from fer_deploy.errors import EngineError

pytest.importorskip("ray")
from integration.ray_cluster import NODE, Watched, cluster_of, process, ray_run

from fer_deploy.archive.on_ray import supply

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("archive") / "people")


@pytest.fixture(scope="module")
def cluster():
    with cluster_of(2) as cluster:
        yield cluster


@pytest.fixture
def engine_file(tmp_path):
    return tmp_path / "engine.onnx"


@pytest.fixture
def archive(videos, tmp_path, engine_file):
    """Nine segments of three videos."""
    return make_plan([str(videos)], str(tmp_path / "out"), engine_file)


def num_done(store: Store) -> int:
    return len(store.list("segments"))


def wait_for(condition, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)


class Finished(NamedTuple):
    """An archive that was computed while a node joined.

    Attributes:
        folder: has the archive in `out`, and the folder for copies, `scratch`.
        joined: the node.
    """

    folder: Path
    store: Store
    manifest: Manifest
    engine_file: Path
    ended: Ended
    progress: Watched
    joined: object


@pytest.fixture(scope="module")
def finished(cluster, videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    engine_file, trap = folder / "engine.onnx", folder / "trap"
    store, manifest = make_plan([str(videos)], str(folder / "out"), engine_file)
    joined = []
    trap.touch()

    def on_workers(num: int) -> None:
        if num == 2 and not joined:
            joined.append(cluster.add_node(**NODE))
        elif num == 3:
            trap.unlink()

    progress, recipe = Watched(on_workers=on_workers), partial(trapped, "wait", trap, engine_file)
    try:
        ended = ray_run(cluster.address, store, recipe, progress, scratch=folder / "scratch")
    finally:
        trap.unlink(missing_ok=True)
    return Finished(folder, store, manifest, engine_file, ended, progress, joined[0])


def test_tables_are_those_of_a_run_without_ray_also_when_a_node_joins(finished, videos):
    folder, store, manifest, engine_file, ended, progress, _ = finished
    assert ended == (9, 0, 0)
    assert progress.most == (3, 3)
    assert progress.notes == []
    join(store, manifest)
    assert verify(store, manifest).num_frames == sum(NUM_FRAMES.values())
    other, _ = make_plan([str(videos)], str(folder / "other"), engine_file)
    make_run(other, manifest, recipe_of(engine_file)).run()
    join(other, manifest)
    for video in NUM_FRAMES:
        for table in ("faces", "frames"):
            rows = rows_of_table(folder / "other", table, video)
            assert len(rows) > 0
            assert rows_of_table(folder / "out", table, video) == rows
    assert not list((folder / "out").rglob("*.part"))


def test_nothing_is_left_on_the_nodes_and_nothing_to_do(cluster, finished):
    assert list((finished.folder / "scratch").iterdir()) == []
    progress = Watched()
    assert ray_run(cluster.address, finished.store, recipe_of(finished.engine_file), progress) == (0, 0, 0)
    assert progress.most == (0, 0)


def test_a_node_that_is_killed_costs_no_try(cluster, finished, archive, tmp_path, engine_file):
    store, _ = archive
    trap, victim = tmp_path / "trap", finished.joined
    trap.touch()

    def on_busy(num: int) -> None:
        if num == 3 and trap.exists():  # each node has a segment
            cluster.remove_node(victim, allow_graceful=False)
            trap.unlink()

    progress = Watched(on_busy=on_busy)
    recipe = partial(trapped, "wait", trap, engine_file)
    ended = ray_run(cluster.address, store, recipe, progress, min_workers=3)
    # The victim may store its segment in its last moment: then it is there, but not of this run's count.
    assert (ended.num_dead, ended.num_left, num_done(store)) == (0, 0, 9)
    assert ended.num_done in (8, 9)
    assert progress.most == (3, 3)
    assert victim not in cluster.worker_nodes
    assert progress.notes == []


def test_videos_that_are_away_for_longer_than_a_rest_cost_no_try(cluster, tmp_path, engine_file, monkeypatch):
    monkeypatch.setattr(supply, "_REST_S", 1.0)
    videos, away = make_videos(tmp_path / "people"), tmp_path / "away"
    store, _ = make_plan([str(videos)], str(tmp_path / "out"), engine_file)

    def take_away(num: int) -> None:
        if not away.exists() and not progress.notes:
            videos.rename(away)

    class Back(Watched):
        def note(self, text):
            super().note(text)
            if "is not used for 2 s" in text:  # its second rest
                away.rename(videos)

    progress = Back(on_busy=take_away)
    recipe = partial(poisoned, 0, 0.03, engine_file)
    assert ray_run(cluster.address, store, recipe, progress, max_workers=1) == (9, 0, 0)
    assert dead_letters(store) == {}
    assert any("is not used for 1 s" in note for note in progress.notes)
    assert videos.exists()


def test_a_cluster_without_a_fitting_node_is_refused(cluster, archive, engine_file):
    store, _ = archive
    with pytest.raises(
        EngineError, match=r"none of \d nodes of the cluster has 64 CPU and 100 MB, which a worker needs"
    ):
        ray_run(cluster.address, store, recipe_of(engine_file), num_cpus=64, start_s=2)


def test_nodes_without_the_models_end_the_run(cluster, archive, engine_file, tmp_path):
    store, _ = archive
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another model")
    with pytest.raises(EngineError, match=r"no node can be used. The last one, on .*: .*another model"):
        ray_run(cluster.address, store, recipe_of(other))
    assert dead_letters(store) == {}


def test_a_killed_driver_is_continued_by_the_same_command(cluster, archive, engine_file):
    store, _ = archive
    first = process(cluster.address, store.address, engine_file, 0.03)
    wait_for(lambda: num_done(store) > 0)
    first.kill()
    first.wait()
    before = {name: entry.written_s for name, entry in store.list("segments").items()}
    assert 0 < len(before) < 9
    assert ray_run(cluster.address, store, recipe_of(engine_file), max_workers=1) == (9 - len(before), 0, 0)
    after = store.list("segments")
    assert len(after) == 9
    assert all(after[name].written_s == written_s for name, written_s in before.items())


def test_a_poisoned_video_stops_nothing(cluster, videos, tmp_path, engine_file):
    poison = write_squares(tmp_path / "poison.mp4", 20, size=(160, 96))
    store, manifest = make_plan([str(videos), str(poison)], str(tmp_path / "out"), engine_file)
    progress = Watched()
    recipe = partial(poisoned, 160, 0, engine_file)
    assert ray_run(cluster.address, store, recipe, progress, max_workers=2) == (9, 1, 0)
    (letter,) = dead_letters(store).values()
    assert (letter.kind, len(letter.attempts)) == ("crash", 3)
    assert letter.address == str(poison)
    assert "a worker on" in letter.attempts[0]
    assert len(join(store, manifest, allow_incomplete=True).videos) == 3


def test_a_hung_worker_is_replaced(cluster, archive, tmp_path, engine_file):
    store, _ = archive
    trap, progress = tmp_path / "trap", Watched()
    trap.touch()
    recipe = partial(trapped, "hang once", trap, engine_file)
    assert ray_run(cluster.address, store, recipe, progress, hang_s=5.0, max_workers=1) == (9, 0, 0)
    assert any("made no progress for" in note for note in progress.notes)


def test_a_node_with_another_version_is_left_out(cluster, archive, tmp_path, engine_file, monkeypatch):
    store, _ = archive
    monkeypatch.chdir(tmp_path)  # Ray lets workers import from the driver's working folder
    package = tmp_path / "old" / "fer_deploy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.0.7"\n')
    node = cluster.add_node(env_vars={"PYTHONPATH": str(package.parent)}, **NODE)
    progress = Watched()
    recipe = partial(poisoned, 0, 0.02, engine_file)
    try:
        assert ray_run(cluster.address, store, recipe, progress, min_workers=3) == (9, 0, 0)
    finally:
        cluster.remove_node(node, allow_graceful=False)
    (note,) = progress.notes
    assert "a node is left out: on" in note
    assert "there is fer-deploy 0.0.7, and" in note
    assert "Fix: pip install 'fer-toolchain[cpu,ray]==" in note
