"""The frame in which a person can be seen best, from the table."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fer_deploy.analyze.people.best_frames import best_frames
from fer_deploy.vision.types import Box

GOOD = {
    "score": 0.9,
    "detected": True,
    "shown": "happy",
    "flags": "",
    "size_px": 60.0,
    "sharpness": 9.0,
    "yaw_deg": 0.0,
    "pitch_deg": 0.0,
    "roll_deg": 0.0,
    "cut_left": 0.0,
    "cut_top": 0.0,
    "cut_right": 0.0,
    "cut_bottom": 0.0,
}


def face(frame, track=1, *, side=60, left=10, **values):
    place = {"frame": frame, "time_s": frame / 10, "track": track}
    return place | {"x1": left, "y1": 5, "x2": left + side, "y2": 5 + side} | GOOD | values


@pytest.fixture
def table(tmp_path):
    def write(*faces, rows_per_group=2):
        path = tmp_path / "faces.parquet"
        pq.write_table(pa.Table.from_pylist(list(faces)), path, row_group_size=rows_per_group)
        return path

    return write


@pytest.mark.parametrize(
    "worse",
    [
        {"side": 40},
        {"sharpness": 4.0},
        {"yaw_deg": 30.0},
        {"yaw_deg": -30.0},
        {"roll_deg": 25.0},
        {"score": 0.6},
        {"flags": "NOISY"},
        {"shown": "unreadable"},
        {"detected": False},
        {"cut_left": 0.3},
        {"side": 200, "flags": "LOW_SHARPNESS"},
    ],
)
def test_what_is_worse(table, worse):
    for faces in ([face(0, **worse), face(1)], [face(0), face(1, **worse)]):
        expected = next(one["frame"] for one in faces if not worse.items() <= one.items() and one["x2"] == 70)
        (found,) = best_frames(table(*faces), [1])
        assert found.frame == expected


@pytest.mark.parametrize("rows_per_group", [1, 2, 100])
def test_the_first_of_equals_and_all_boxes(table, rows_per_group):
    faces = [face(0, side=50), face(1), face(1, 2, left=100), face(2), face(2, 2, left=100, side=70), face(3, 3)]
    first, second = best_frames(table(*faces, rows_per_group=rows_per_group), [1, 2, 9])
    assert (first.track, first.frame, first.time_s, first.box) == (1, 1, 0.1, Box(10, 5, 70, 65))
    assert first.boxes == (Box(10, 5, 70, 65), Box(100, 5, 160, 65))
    assert (second.track, second.frame, second.box) == (2, 2, Box(100, 5, 170, 75))


def test_without_landmarks_and_quality(table):
    unknown = dict.fromkeys(("sharpness", "yaw_deg", "pitch_deg", "roll_deg", "size_px"))
    (found,) = best_frames(table(face(0, side=30, **unknown), face(1, **unknown), face(2, 2)), [1])
    assert found.frame == 1


def test_only_the_beginning(table):
    (found,) = best_frames(table(face(0, side=30), face(1, side=40), face(2)), [1], most_frames=2)
    assert found.frame == 1


class TestAllInView:
    """Frames in which a face is hidden cannot be covered."""

    def frames(self, path, seconds, track=1):
        return [one.frame for one in best_frames(path, [track], all_in_view_s=seconds)]

    def test_after_a_face_is_lost_and_before_it_comes_back(self, table):
        """Person 2 is away from frame 10 to 29: with a second, frames 10 to 18 and 21 to 29 are left out."""

        def best_of(*good):
            other = [face(number, 2, left=100) for number in (*range(10), *range(30, 40))]
            faces = [face(number, side=60 if number in good else 20) for number in range(40)]
            return table(*sorted(other + faces, key=lambda one: one["frame"]))

        assert self.frames(best_of(12, 20, 25), 1.0) == [20]
        assert self.frames(best_of(9, 12), 1.0) == [9]
        assert self.frames(best_of(12, 30), 1.0) == [30]
        assert self.frames(best_of(12), None) == [12]
        assert self.frames(best_of(12), 0.15) == [12]

    def test_nobody_is_in_view_alone(self, table):
        """Each is seen where the other is not, and shortly before."""
        path = table(face(0), face(1, 2), face(2), face(3, 2))
        assert self.frames(path, 2.0) == []
        assert self.frames(path, 2.0, track=2) == []

    def test_before_the_first_and_after_the_last(self, table):
        faces = [face(number, side=60 if number in (0, 39) else 20 + number) for number in range(40)]
        path = table(*sorted([*faces, face(10, 2), face(11, 2)], key=lambda one: one["frame"]))
        assert self.frames(path, 1.1) == [39]
        assert self.frames(path, 40.0) == [11]
