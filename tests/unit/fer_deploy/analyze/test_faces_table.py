"""The reader of faces.parquet: each frame counts until the next one, in everything that is computed from it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from unit.fer_deploy.analyze.events.made_results import LABELS, make_results

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.segments import segments
from fer_deploy.analyze.faces_table import face_rows
from fer_deploy.analyze.report.people_seen import people_from_rows
from fer_deploy.analyze.report.summary import Summary, _person
from fer_deploy.artifacts import file_sha256
from fer_deploy.errors import ConfigError

TIMES = [0.0, 0.02, 0.04, 0.5, 0.51, 1.7, 1.9, 1.95, 2.4, 2.41]
SHOWN = ["happy", "sad", "sad", "unreadable", "happy", "unsure", "happy", "sad", "sad", "happy"]
FACES = [(frame, track, SHOWN[(frame + track) % 10], 0.5) for frame in range(10) for track in (3, 7)]


@pytest.mark.parametrize("rows_per_group", [1, 3, 100])
def test_a_segment_of_the_whole_video_has_the_shares_of_the_summary(tmp_path, rows_per_group):
    folder = make_results(tmp_path / "clip", FACES, times=TIMES, rows_per_group=rows_per_group)
    until_s = TIMES[-1] + 0.1
    people = {
        one.track: _person(1, one) for one in people_from_rows(face_rows(folder, LABELS, until_s=until_s, run=""))
    }
    rows = segments(folder, [Event("all", 0.0, until_s)]).to_pylist()
    for row, track in zip(rows, (7, 3), strict=True):
        shares = {name: row[f"share_{name}"] for name in people[track].shares}
        assert shares == people[track].shares
        assert row["visible_s"] == people[track].visible_s == pytest.approx(until_s)
    assert people[7].shares["sad"] != pytest.approx(0.4, abs=0.02), "a share of frames is another one"


@pytest.mark.parametrize("rows_per_group", [1, 3, 100])
def test_rows_do_not_depend_on_the_groups(tmp_path, rows_per_group):
    folder = make_results(tmp_path / "clip", FACES, times=TIMES, rows_per_group=rows_per_group)
    found = list(face_rows(folder, LABELS, until_s=3.0, run=""))
    assert np.concatenate([rows.place for rows in found]).tolist() == np.repeat(np.arange(10), 2).tolist()
    assert np.concatenate([rows.start_s for rows in found]).tolist() == np.repeat(TIMES, 2).tolist()
    assert np.concatenate([rows.end_s for rows in found]).tolist() == np.repeat([*TIMES[1:], 3.0], 2).tolist()


def test_a_frame_that_is_in_one_table_only(tmp_path):
    folder = make_results(tmp_path / "clip", FACES, times=TIMES)
    frames = pq.read_table(folder / "faces.frames.parquet")
    for kept, missing in ((frames[:9], 9), (pa.concat_tables([frames[:4], frames[5:]]), 4)):
        pq.write_table(kept, folder / "faces.frames.parquet")
        with pytest.raises(ConfigError, match=rf"has the frame {missing}, and .*frames.parquet does not. Fix: analyze"):
            list(face_rows(folder, LABELS, until_s=3.0, run=""))


def test_a_table_that_was_changed(tmp_path):
    """Pandas writes a table without our metadata, so the name of the run alone would not show it."""
    folder = make_results(tmp_path / "clip", FACES)
    summary = Summary.load(folder / "summary.json")
    digests = {name: file_sha256(folder / name) for name in ("faces.parquet", "faces.frames.parquet")}
    (folder / "summary.json").write_text(summary.model_copy(update={"tables": digests}).model_dump_json())
    assert segments(folder, [Event("a", 0.0, 1.0)]).num_rows == 2
    table = pq.read_table(folder / "faces.parquet")
    pq.write_table(table.replace_schema_metadata(None), folder / "faces.parquet")
    with pytest.raises(
        ConfigError, match=r"faces.parquet was changed after the analysis: summary.json has another SHA"
    ):
        segments(folder, [Event("a", 0.0, 1.0)])


def test_damaged_and_missing_tables(tmp_path):
    folder = make_results(tmp_path / "clip", FACES)
    summary = Summary.load(folder / "summary.json")
    table = pq.read_table(folder / "faces.parquet")
    pq.write_table(table.drop_columns(["shown"]), folder / "faces.parquet")
    with pytest.raises(ConfigError, match=r"cannot read .*faces.parquet: it has no column shown. Fix: analyze again"):
        list(face_rows(folder, LABELS, until_s=1.0, run=summary.fingerprint.run))
    (folder / "faces.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"cannot read .*faces.parquet"):
        list(face_rows(folder, LABELS, until_s=1.0, run=""))
    (folder / "faces.parquet").unlink()
    with pytest.raises(
        ConfigError, match=r"cannot read .*faces.parquet: No such file or directory. Fix: analyze again"
    ):
        list(face_rows(folder, LABELS, until_s=1.0, run=""))
