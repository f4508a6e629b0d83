"""The run in tables: the last column of both formats, and the metadata of Parquet."""

import pyarrow.parquet as pq
import pytest
from unit.fer_deploy.live.sinks.table_cases import LABELS, rows_of

from fer_deploy.errors import ConfigError
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint, fingerprint_in, require_one_run
from fer_deploy.live.fingerprint.sources import digest_of_sources
from fer_deploy.live.sinks import CsvSink, ParquetSink

RUN = RunFingerprint(video="9:ab", engine="cd", detector="", version="1", settings={"device": "cpu"})


@pytest.mark.parametrize(("kind", "name"), [(CsvSink, "a.csv"), (ParquetSink, "a.parquet")])
def test_last_column(tmp_path, make_result, kind, name):
    with kind(tmp_path / name, LABELS, run=RUN) as sink:
        sink.write(make_result(0), None)
    for path in (tmp_path / name, tmp_path / name.replace("a.", "a.frames.")):
        rows = rows_of(path)
        assert {row["run"] for row in rows} == {RUN.run}
        assert list(rows[0])[-1] == "run"
        if path.suffix == ".parquet":
            assert fingerprint_in(pq.read_schema(path).metadata) == RUN


def test_the_name_is_no_number_and_follows_from_the_settings():
    assert len(RUN.run) == 13
    assert RUN.run.startswith("r")
    same = RunFingerprint.model_validate_json(RUN.to_json())
    assert same.run == RUN.run
    names = {RUN.model_copy(update=change).run for change in ({"video": "x"}, {"version": "2"}, {"settings": {}})}
    assert len({*names, RUN.run}) == 4


def test_settings_of_pictures_change_no_number():
    def run(**settings):
        return RUN.model_copy(update={"settings": {"device": "cpu", **settings}}).run

    assert run(video=True, **{"pipeline.anonymize": "box"}) == run(video=False) == RUN.run
    every = {"pipeline.detect_every": 3}
    assert run(frames_per_segment=960) == run(frames_per_segment=480)
    assert run(frames_per_segment=960, **every) != run(frames_per_segment=480, **every)


def test_recordings_count_by_their_content_and_cameras_by_the_time(tmp_path):
    for name, content in (("a.mp4", b"1"), ("b.mp4", b"1"), ("c.mp4", b"2")):
        (tmp_path / name).write_bytes(content)
    one, copy, other = (digest_of_sources([str(tmp_path / name)]) for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert one == copy != other
    assert digest_of_sources([str(tmp_path)]).startswith("3:")
    assert "hunter2" not in digest_of_sources(["rtsp://me:hunter2@host/stream"])
    assert digest_of_sources(["0"]).startswith("0@20")


def test_metadata_of_others():
    assert fingerprint_in(None) is None
    assert fingerprint_in({b"fer_fingerprint": b"{}"}) is None


def test_mixed():
    require_one_run({"a": "r1", "b": None, "c": "", "d": "r1"}, fix="x")
    with pytest.raises(ConfigError, match=r"are mixed: a is of run r1, b is of run r2\. Fix: x"):
        require_one_run({"a": "r1", "b": "r2"}, fix="x")
