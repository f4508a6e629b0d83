import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.segments.observations import (
    Observation,
    ObservedFace,
    SegmentAbout,
    observations_file,
    read_observations,
    write_observations,
)
from fer_deploy.analyze.segments.recording import Reached
from fer_deploy.analyze.segments.seal import is_sealed
from fer_deploy.errors import ArtifactError, SinkError
from fer_deploy.live.seeking.position import Position
from fer_deploy.live.sources.clock import ClockState
from fer_deploy.vision.quality import FaceQuality, HeadPose
from fer_deploy.vision.types import Box, Detection

START = Position(
    index=24,
    pts=1234,
    clock=ClockState(0.1 + 0.2, 1 / 3, 0, (0.5, -1.5), None, 0.04),
    size=(128, 96),
    shown_until_s=1.0417,
    num_packets=27,
    digest="ab",
)
ABOUT = SegmentAbout(
    fingerprint=Fingerprint(video="1:2", engine="e", detector="", version="1", settings={"a": [1, None]}),
    number=1,
    labels=("dark", "bright"),
    start=START,
    end=Reached(48, 2, 1, None, True, 3, "cut off"),
)
POINTS = ((0.1, 1 / 3), (-2.5, 1e-9), (7.0, 8.0), (1e9, 0.0), (5.5, float(np.float32(0.1))))


def face(*, landmarks=POINTS):
    probs, score = np.array([0.1, 0.9], dtype=np.float32), float(np.float32(0.7))
    pose = None if landmarks is None else HeadPose(0.1 + 0.2, -1 / 3, 1e-9)
    quality = FaceQuality(1 / 3, 2 / 3, 0.1, 1e-7, 3.3, pose, (0.0, 1 / 7, 0.0, 1.0), score, landmarks is None)
    return ObservedFace(Detection(Box(1, 2, 30, 40), score, landmarks), probs, quality)


def test_read_as_written(tmp_path):
    rows = [
        Observation(24, 0.1 + 0.2, (128, 96), (face(), face(landmarks=None))),
        Observation(25, 1 / 3, (64, 48), ()),
    ]
    write_observations(tmp_path / "a.parquet", rows, ABOUT)
    found, about = read_observations(tmp_path / "a.parquet")
    assert about == ABOUT
    assert [one._replace(faces=()) for one in found] == [one._replace(faces=()) for one in rows]
    for one, other in zip(found[0].faces, rows[0].faces, strict=True):
        assert one.detection == other.detection
        assert one.quality == other.quality
        assert one.probs.dtype == np.float32
        np.testing.assert_array_equal(one.probs, other.probs)
    assert found[1].faces == ()
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_segment_without_faces(tmp_path):
    rows = [Observation(24, 1.0, (128, 96), ())]
    write_observations(tmp_path / "a.parquet", rows, ABOUT)
    assert read_observations(tmp_path / "a.parquet")[0] == rows


def test_damaged_missing_and_foreign(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(ArtifactError, match=r"a\.parquet has no observations of this version: FileNotFound.*Fix: "):
        read_observations(path)
    write_observations(path, [], ABOUT)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        ArtifactError, match=r"a\.parquet is damaged: its bytes are not those that were written\. Fix: "
    ):
        read_observations(path)
    with observations_file(path) as file:
        file._file.begin_footer()  # without a description
    with pytest.raises(ArtifactError, match=r"no observations of this version: KeyError"):
        read_observations(path)


def test_every_changed_byte_and_every_lost_one_is_found(tmp_path):
    path = tmp_path / "a.parquet"
    write_observations(path, [Observation(24 + number, 1 / 3, (64, 48), (face(),)) for number in range(3)], ABOUT)
    whole = path.read_bytes()
    places = range(0, len(whole), 11)
    assert len(places) > 300
    for content in (whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :] for place in places):
        assert not is_sealed(io.BytesIO(content))
    assert not any(is_sealed(io.BytesIO(whole[:num])) for num in [*range(40), *places])
    assert is_sealed(io.BytesIO(whole))
    path.write_bytes(whole[:500] + bytes(1) + whole[501:])
    with pytest.raises(
        ArtifactError, match=r"a\.parquet is damaged: its bytes are not those that were written\. Fix: "
    ):
        read_observations(path)


def test_a_seal_is_no_hindrance_to_other_readers(tmp_path):
    write_observations(tmp_path / "a.parquet", [Observation(24, 1.0, (128, 96), ())], ABOUT)
    assert pq.read_table(tmp_path / "a.parquet")["frame"].to_pylist() == [24]


def test_of_another_version(tmp_path):
    write_observations(tmp_path / "a.parquet", [], ABOUT.model_copy(update={"schema_version": 7}))
    with pytest.raises(ArtifactError, match=r"observations of version 7, expected 3\. Fix: --restart"):
        read_observations(tmp_path / "a.parquet")


def test_no_folder(tmp_path):
    with pytest.raises(SinkError, match="cannot write"):
        write_observations(tmp_path / "none/a.parquet", [], ABOUT)
