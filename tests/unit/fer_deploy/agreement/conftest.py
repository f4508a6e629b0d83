"""Results to compare with codes: small tables of faces and frames."""

import csv

import pyarrow.csv
import pyarrow.parquet
import pytest

LABELS = ("happy", "neutral", "sad")
FPS = 10
HEAD = ["frame", "time_s", "track", "person", "x1", "y1", "x2", "y2", "emotion", "shown"]


@pytest.fixture
def write_result(tmp_path):
    """Return a function that writes the tables of a video: faces are (frame, track, person, x1, raw, shown)."""

    def write(name, faces, *, num_frames, labels=LABELS, parquet=False):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        with (folder / "faces.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow([*HEAD, *(f"p_{label}" for label in labels)])
            for frame, track, person, x1, raw, shown in faces:
                box = [x1, 10, x1 + 20, 30]
                table.writerow([frame, frame / FPS, track, person, *box, raw, shown, *([0.3] * len(labels))])
        with (folder / "faces.frames.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["frame", "time_s", "source"])
            table.writerows([frame, frame / FPS, 0] for frame in range(num_frames))
        if parquet:
            for path in list(folder.iterdir()):
                pyarrow.parquet.write_table(pyarrow.csv.read_csv(path), path.with_suffix(".parquet"))
        return folder

    return write
