"""Tests for grown: calls of plan at the same time lose no video, or end with an error."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from integration.analyze_videos import make_models, write_squares

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.archive.manifest import About, Manifest, Segment, VideoRow
from fer_deploy.archive.planning import growing
from fer_deploy.archive.planning.growing import grown
from fer_deploy.archive.store import Store
from fer_deploy.cli import main
from fer_deploy.cli.archive import plan as plan_command
from fer_deploy.errors import SinkError, StreamError
from fer_deploy.live.seeking.position import Position

ANOTHER = r"another plan is running on memory://.*\. Fix: give the same command again$"


@pytest.fixture
def about(tmp_path):
    return About.of(AnalyzeConfig.model_validate({"out": "."}), make_models(tmp_path / "engine.onnx"), 0.0)


def row(name: str) -> VideoRow:
    return VideoRow(id=name, address=f"/videos/{name}.mp4")


def test_many_calls_at_the_same_time(about, tmp_path, monkeypatch):
    save, store = Manifest.save, Store(str(tmp_path / "new" / "out"))
    monkeypatch.setattr(Manifest, "save", lambda self, store: (time.sleep(0.02), save(self, store)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: grown(Store(store.address), about, [row(str(number))]), range(8)))
    assert sorted(Manifest.load(store).rows) == list("01234567")


def test_a_row_of_the_same_address_is_replaced(about, tmp_path):
    store = Store(str(tmp_path))
    grown(store, about, [row("a"), row("b")])
    grown(store, about, [row("b").model_copy(update={"id": "c"})])  # neither has segments
    assert sorted(Manifest.load(store).rows) == ["a", "c"]


def test_a_video_that_cannot_be_read_for_a_while_keeps_its_segments(about, tmp_path):
    store, start = Store(str(tmp_path)), Position(index=0, pts=None).model_dump_json()
    planned = row("a").model_copy(update={"digest": "1", "num_frames": 9, "segments": (Segment(0, 0, 9, start),)})
    grown(store, about, [planned])
    away = VideoRow(id="away", address=planned.address, reason="it cannot be read: Stale file handle")
    assert grown(store, about, [away]).rows == {"a": planned}
    no_video = away.model_copy(update={"digest": "2", "reason": "it is text"})
    assert grown(store, about, [no_video]).rows == {"away": no_video}


def test_an_address_has_no_lock_but_a_change_right_before_is_found(about, tmp_path, monkeypatch):
    store = Store(f"memory://before-{tmp_path.name}")
    grown(store, about, [row("a")])
    other = Manifest.of(about, [row("a"), row("other")])
    monkeypatch.setattr(growing, "check_models", lambda *_: other.save(store))
    with pytest.raises(StreamError, match=ANOTHER):
        grown(store, about, [row("b")])
    assert sorted(Manifest.load(store).rows) == ["a", "other"]


def test_an_address_has_no_lock_but_a_change_right_after_is_found(about, tmp_path, monkeypatch):
    store, save = Store(f"memory://after-{tmp_path.name}"), Manifest.save
    other = Manifest.of(about, [row("other")])
    monkeypatch.setattr(Manifest, "save", lambda self, store: (save(self, store), save(other, store)))
    with pytest.raises(StreamError, match=ANOTHER):
        grown(store, about, [row("b")])


def test_a_folder_that_cannot_be_written(about, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot write .*plan\.lock: .*Fix: check space and rights"):
        grown(Store(str(tmp_path / "file")), about, [])


def test_videos_of_a_call_that_ended_meanwhile_stay(tmp_path, monkeypatch):
    films = [write_squares(tmp_path / f"{name}.mp4", 24) for name in ("first", "second")]
    planned = plan_command.planned_rows

    def plan(film):
        args = ["archive", "plan", film, "--out", tmp_path / "out", "--pilot", 0, "--detector", "haar"]
        return CliRunner().invoke(main, [str(arg) for arg in args])

    def slow(*args, **settings):
        monkeypatch.setattr(plan_command, "planned_rows", planned)
        assert plan(films[0]).exit_code == 0
        return planned(*args, **settings)

    monkeypatch.setattr(plan_command, "planned_rows", slow)
    assert "2 videos with 48 frames" in plan(films[1]).stdout
