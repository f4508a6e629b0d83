"""Pictures of people are frames of the recording, covered where the annotated video is."""

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from integration.analyze_videos import SIDE, picture
from unit.fer_deploy.analyze.events.made_results import person
from unit.fer_deploy.analyze.people.test_best_frames import face

from fer_deploy.analyze.people import pictures
from fer_deploy.analyze.people.pictures import PersonPicture, pictures_of_people, take_pictures, write_pictures
from fer_deploy.errors import StreamError
from fer_deploy.live.seeking.packet_index import index_of_file
from fer_deploy.live.sinks.video.codecs import choose_encoding
from fer_deploy.live.sinks.video.encoder import VideoEncoder

FPS, NUM = 10, 60


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two squares that wander; a keyframe every second."""
    path = tmp_path_factory.mktemp("video") / "squares.mp4"
    encoder = VideoEncoder(path, size=(128, 96), fps=FPS, is_live=False, encoding=choose_encoding("x264"))
    for index in range(NUM):
        encoder.add(picture(index), index / FPS)
    encoder.close()
    assert not index_of_file(path).why_not
    return path


def boxes(index):
    """Return left and top of both squares."""
    green = picture(index)[..., 1] > 50
    halves = (green[:, :64], green[:, 64:])
    return [
        (int(np.argmax(half.any(axis=0))) + 64 * number, int(np.argmax(half.any(axis=1))))
        for number, half in enumerate(halves)
    ]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """The table: person 1 is best in frame 44, person 2 in frame 0."""
    rows = []
    for index in range(NUM):
        for number, (left, top) in enumerate(boxes(index)):
            is_best = index == (44, 0)[number]
            row = face(index, number + 1, sharpness=10.0 if is_best else 5.0)
            rows.append(row | {"x1": left, "y1": top, "x2": left + SIDE, "y2": top + SIDE})
    path = tmp_path_factory.mktemp("table") / "faces.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=50)
    return path


def taken(video, faces, *, method=None, index=None):
    return take_pictures(video, faces, [1, 2], index or (lambda: None), method=method, keep_s=2.0)


def decoded(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)


def test_frames_are_found_by_seeking(video, faces, monkeypatch):
    monkeypatch.setattr(pictures, "_in_order", lambda *_: pytest.fail("it can be sought in"))
    second, first = taken(video, faces)
    assert (first.track, first.frame, first.time_s) == (1, 44, 4.4)
    assert (second.track, second.frame) == (2, 0)
    for number, found in enumerate((first, second)):
        whole, (left, top) = decoded(found.picture), boxes(found.frame)[number]
        assert whole.shape == (96, 128, 3)
        inside = np.s_[top + 4 : top + SIDE - 4, left + 4 : left + SIDE - 4]
        assert np.abs(whole[inside] - picture(found.frame)[inside]).max() < 25
        thumbnail = decoded(found.thumbnail)
        assert thumbnail.shape == (53, 53, 3)
        assert thumbnail[26, 26, 1] == pytest.approx(picture(found.frame)[top + 14, left + 14, 1], abs=15)


def test_in_order_they_are_the_same(video, faces, monkeypatch):
    sought = taken(video, faces)
    monkeypatch.setattr("fer_deploy.live.seeking.packet_index.PacketIndex._find_why_not", lambda self: "not here")
    assert taken(video, faces) == sought
    monkeypatch.setattr(pictures, "MOST_DECODED", 30)
    assert [(one.track, one.frame < 30) for one in taken(video, faces)] == [(1, True), (2, True)]


@pytest.mark.parametrize("method", ["box", "blur", "pixelate"])
def test_faces_are_covered_in_both(video, faces, method):
    plain = {one.track: one for one in taken(video, faces)}
    for one in taken(video, faces, method=method):
        assert one.picture != plain[one.track].picture
        if method == "box":
            whole = decoded(one.picture)
            for left, top in boxes(one.frame):  # the other person's, too; the white box is drawn around this one's
                assert np.abs(whole[top + 6 : top + SIDE - 6, left + 6 : left + SIDE - 6] - 64).max() < 12
            assert abs(decoded(one.thumbnail)[26, 26] - 64).max() < 12


@pytest.mark.parametrize(("frames", "seconds", "tracks"), [(-4, 0.0, [1, 2]), (0, 0.05, [])])
def test_a_frame_is_found_by_its_time(video, faces, tmp_path, frames, seconds, tracks):
    """After damage, the index counts frames that the analysis did not have."""
    rows = pq.read_table(faces).to_pylist()
    changed = [row | {"frame": row["frame"] + frames, "time_s": row["time_s"] + seconds} for row in rows]
    pq.write_table(pa.Table.from_pylist(changed), tmp_path / "faces.parquet")
    found = taken(video, tmp_path / "faces.parquet")
    assert sorted(one.track for one in found) == tracks
    assert [one.picture for one in found] == [one.picture for one in taken(video, faces) if tracks]


def test_a_recording_that_is_gone(faces, tmp_path):
    with pytest.raises(StreamError):
        taken(tmp_path / "gone.mp4", faces)


def test_the_best_of_merged_tracks(tmp_path):
    path = tmp_path / "people.parquet"
    assert pictures_of_people(path, [person(1, 7)]) == {}
    known = [
        PersonPicture(track, 10 * track, float(track), score, b"t%d" % track, b"p")
        for track, score in ((3, 5.0), (7, 9.0), (8, 1.0))
    ]
    write_pictures(path, known)
    assert pictures_of_people(path, [person(1, 7), person(2, 99)]) == {7: known[1]}
    merged = person(1, 3, tracks=(3, 7, 99))
    assert pictures_of_people(path, [merged, person(2, 8)]) == {3: known[1], 8: known[2]}
