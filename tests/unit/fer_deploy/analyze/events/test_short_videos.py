"""Events for all videos that start after the end of one of them, and results of different runs in one folder."""

import json

import pyarrow.parquet as pq
import pytest
from unit.fer_deploy.analyze.events.made_results import FINGERPRINT, make_results

from fer_deploy.analyze.events.event_list import read_events
from fer_deploy.analyze.events.exclusions import read_exclusions
from fer_deploy.analyze.events.exports import Exports
from fer_deploy.analyze.events.intervals import intervals
from fer_deploy.analyze.events.writing import write_exports
from fer_deploy.errors import ConfigError
from fer_deploy.spec import ModelSpec

FACES = [(frame, 7, "happy", 0.9) for frame in range(10)]


@pytest.fixture
def spec():
    return ModelSpec.model_construct(name="n", labels=("happy", "sad"), temperature=1.0, unsure_below=None, metrics={})


@pytest.fixture
def export(tmp_path, spec):
    folder = make_results(tmp_path / "clip", FACES)

    def run(events, *, is_only=False, exclude="start,end\n"):
        (tmp_path / "events.csv").write_text(events)
        (tmp_path / "exclude.csv").write_text(exclude)
        wanted = Exports(read_events(tmp_path / "events.csv"), exclusions=read_exclusions(tmp_path / "exclude.csv"))
        summary = write_exports(folder, tmp_path / "clip.mp4", spec, wanted, is_only=is_only)
        return summary, pq.read_table(folder / "segments.parquet").to_pylist()

    return run


def test_later_events_are_left_out_and_named(export, tmp_path):
    summary, rows = export("start,end,label\n0,1,first\n5,6,second\n", exclude="start,end\n8,9\n")
    assert [row["label"] for row in rows] == ["first", "first"]
    assert summary.event_notes == (
        "the event 'second' in line 3 is left out: it starts at 5 s, and clip.mp4 ends at 1 s",
        "an excluded range in line 2 is left out: it starts at 8 s, and clip.mp4 ends at 1 s",
    )
    folder = tmp_path / "clip"
    page = (folder / "report.html").read_text()
    assert "Segments and intervals: the event &#39;second&#39; in line 3 is left out" in page
    assert '<a href="segments.csv">segments.csv</a>' in page
    summary, _ = export("start,end,label\n0,1,first\n")
    assert summary.event_notes == ()
    assert "is left out" not in (folder / "report.html").read_text()


def test_people_of_other_videos(export):
    exclude = "start,end,person\n0,0.5,Ann\n0.5,0.7,1\n"
    summary, (first, _) = export("start,end,label\n0,1,a\n", exclude=exclude)
    assert summary.event_notes == ("an excluded range in line 2 is left out: clip.mp4 has no person 'Ann'",)
    assert first["excluded_s"] == 0.2
    with pytest.raises(ConfigError, match=r"of the person 'Ann', whom clip.mp4 does not have"):
        export("start,end,label\n0,1,a\n", exclude=exclude, is_only=True)


def test_a_video_that_is_too_short_for_all(export):
    summary, rows = export("start,end,label\n5,6,a\n")
    assert (rows, len(summary.event_notes)) == ([], 1)
    with pytest.raises(
        ConfigError, match=r"the event 'a' in line 2 starts at 5 s, but clip.mp4 ends at 1 s. Fix: times"
    ):
        export("start,end,label\n5,6,a\n", is_only=True)


def test_an_event_of_this_video_must_be_in_it(export):
    with pytest.raises(ConfigError, match=r"starts at 5 s, but clip.mp4 ends at 1 s"):
        export("start,end,label,video\n5,6,a,clip.mp4\n0,1,b,\n")


class TestRun:
    def test_every_table_names_it(self, export, tmp_path):
        _, rows = export("start,end,label\n0,1,a\n")
        assert {row["run"] for row in rows} == {FINGERPRINT.run}
        for name in ("segments.csv", "segments.wide.csv"):
            header, first, *_ = (tmp_path / "clip" / name).read_text().splitlines()
            assert (header.split(",")[-1], first.split(",")[-1]) == ("run", FINGERPRINT.run)
        metadata = pq.read_schema(tmp_path / "clip/segments.parquet").metadata
        assert metadata[b"fer_run"].decode() == FINGERPRINT.run

    def test_tables_of_another_run_are_refused(self, tmp_path):
        folder = make_results(tmp_path / "clip", FACES)
        other = FINGERPRINT.model_copy(update={"settings": {"device": "gpu"}})
        table = pq.read_table(folder / "faces.parquet").replace_schema_metadata(other.metadata())
        pq.write_table(table, folder / "faces.parquet")
        mixed = f"summary.json is of run {FINGERPRINT.run}, faces.parquet is of run {other.run}, faces.frames.parquet"
        with pytest.raises(ConfigError, match=f"tables of different runs are mixed: {mixed}.*Fix: analyze again"):
            intervals(folder)

    def test_tables_that_name_none_are_read(self, tmp_path):
        folder = make_results(tmp_path / "clip", FACES)
        for name in ("faces.parquet", "faces.frames.parquet"):
            pq.write_table(pq.read_table(folder / name).replace_schema_metadata(None), folder / name)
        known = json.loads((folder / "summary.json").read_text())
        del known["run"]
        (folder / "summary.json").write_text(json.dumps(known))
        assert len(intervals(folder)) == 1
