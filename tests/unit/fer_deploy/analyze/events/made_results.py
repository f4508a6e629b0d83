"""The folder of a finished analysis, made by hand: two people and a passer-by, ten frames a second."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.report.summary import PassersBy, Person, Summary

LABELS = ("happy", "sad")
FINGERPRINT = Fingerprint(video="9:ab", engine="cd", detector="", version="1.0", settings={"device": "cpu"})


def person(number: int, track: int, **values) -> Person:
    shares = {"happy": 0.5, "unreadable": 0.25, "unsure": 0.25}
    known = {"first_s": 0, "last_s": 1, "visible_s": 1, "num_faces": 4, "shares": shares, "flags": {"CUT_OFF": 0.25}}
    return Person(number=number, track=track, **known | values)


def make_results(folder: Path, faces, *, times=None, rows_per_group: int = 3, people=None) -> Path:
    """Write the tables and the summary.

    Args:
        folder: for the files.
        faces: (frame, track, shown, probability of happy).
        times: of the frames, in seconds; None: ten, a tenth apart.
        rows_per_group: rows of a row group.
        people: by number; None: track 7 is person 1, and track 3 is person 2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    times = [index / 10 for index in range(10)] if times is None else times
    frame, track, shown, happy = zip(*faces, strict=True)
    columns = {"frame": frame, "track": track, "shown": shown, "smoothed_p_happy": [float(p) for p in happy]}
    columns["smoothed_p_sad"] = [1.0 - p for p in happy]
    columns |= {"person": [{7: 1, 3: 2}.get(one) for one in track], "flags": [""] * len(track)}
    about = FINGERPRINT.metadata()
    faces_table = pa.table(columns).replace_schema_metadata(about)
    pq.write_table(faces_table, folder / "faces.parquet", row_group_size=rows_per_group)
    frames = pa.table({"frame": list(range(len(times))), "time_s": [float(time) for time in times]})
    pq.write_table(frames.replace_schema_metadata(about), folder / "faces.frames.parquet", row_group_size=4)
    summary = Summary(
        video="clip.mp4",
        engine="fake",
        detector="Haar",
        labels=LABELS,
        duration_s=times[-1] + 0.1,
        fps=10,
        picture_size=(64, 48),
        num_size_changes=0,
        trouble="",
        accounting=Accounting(num_analyzed=len(times)),
        people=(person(1, 7), person(2, 3)) if people is None else tuple(people),
        passers_by=PassersBy(num_tracks=1, num_faces=1),
        fingerprint=FINGERPRINT,
        run=FINGERPRINT.run,
        tables={"faces.csv": "ef"},
    )
    (folder / "summary.json").write_text(summary.model_dump_json())
    return folder
