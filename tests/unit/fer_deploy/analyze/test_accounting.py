"""Counts that do not add up are errors."""

import pytest

from fer_deploy.analyze.accounting import Accounting, check_outputs
from fer_deploy.errors import StreamError


def test_what_adds_up():
    Accounting(num_decoded=10, num_skipped=2, num_analyzed=8, num_with_faces=3, num_faces=5).check()


def test_a_lost_frame():
    with pytest.raises(
        StreamError, match=r"frames do not add up: 10 decoded, 7 analyzed and 2 skipped. Fix: run again"
    ):
        Accounting(num_decoded=10, num_skipped=2, num_analyzed=7).check()


def test_what_is_missing_is_neither_decoded_nor_skipped():
    Accounting(num_announced=14, num_missing=4, num_decoded=10, num_skipped=2, num_analyzed=8).check()
    with pytest.raises(StreamError, match=r"frames do not add up: 14 announced, 10 decoded and 5 missing. Fix: "):
        Accounting(num_announced=14, num_missing=5, num_decoded=10, num_skipped=2, num_analyzed=8).check()


@pytest.mark.parametrize("counts", [{"num_with_faces": 9, "num_faces": 9}, {"num_with_faces": 3, "num_faces": 2}])
def test_faces_without_frames(counts):
    with pytest.raises(StreamError, match="faces do not add up"):
        Accounting(num_decoded=8, num_analyzed=8, **counts).check()


def test_outputs():
    counts = Accounting(num_decoded=8, num_analyzed=8, num_with_faces=3, num_faces=5)
    check_outputs(counts, num_faces={"a": 5}, num_frames={"b": 8})
    with pytest.raises(
        StreamError, match=r"incomplete: a has 4 faces, expected 5; b has 9 frames, expected 8. Fix: .*--restart"
    ):
        check_outputs(counts, num_faces={"a": 4}, num_frames={"b": 9})
