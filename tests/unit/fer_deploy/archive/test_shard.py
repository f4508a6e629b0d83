"""Tests for shards: every segment is of one, and the others are helped from their ends."""

from itertools import pairwise

import pytest

from fer_deploy.archive.manifest import Segment, VideoRow
from fer_deploy.archive.shard import Shard, place_of
from fer_deploy.archive.work import Work, in_shards
from fer_deploy.errors import ConfigError


def make_works(num: int, address: str = "/videos/a.mp4") -> list[Work]:
    row = VideoRow(id="abc", address=address)
    return [Work(row, Segment(number, 24 * number, 24, ""), number == num - 1, "") for number in range(num)]


def test_every_segment_is_of_one_shard():
    works = make_works(200)
    shards = [in_shards(works, Shard(number, 3)) for number in (1, 2, 3)]
    assert sorted(work.place for own, _ in shards for work in own) == [work.place for work in works]
    assert all(len(own) > 40 and len(own) + len(others) == 200 for own, others in shards)


def test_a_shard_helps_from_the_end_of_the_others():
    works = make_works(100)
    own, _ = in_shards(works, Shard(1, 2))
    _, others = in_shards(works, Shard(2, 2))
    assert others == own[::-1]
    assert [work.place for work in own] != sorted(work.place for work in own)


def test_segments_of_a_remote_video_stay_together():
    works = make_works(200, "s3://bucket/a.mp4")
    owns = [in_shards(works, Shard(number, 2))[0] for number in (1, 2)]
    numbers = [work.segment.number for own in owns for work in own]
    jumps = sum(after != before + 1 for before, after in pairwise(numbers))
    assert jumps <= 3
    assert place_of("abc", 0, is_remote=True) == place_of("abc", 63, is_remote=True)


def test_parsing():
    assert Shard.of("3/16") == (3, 16)
    assert str(Shard.of("3/16")) == "3/16"
    for text in ("0/4", "5/4", "1", "a/b", "1/0"):
        with pytest.raises(ConfigError, match=r"expected I/N with I from 1 to N, or slurm"):
            Shard.of(text)


def test_slurm_arrays_begin_at_any_number():
    names = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "4"}
    assert Shard.of("slurm", names) == (3, 4)
    assert Shard.of("slurm", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "4"}) == (1, 4)
    with pytest.raises(ConfigError, match="needs SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT"):
        Shard.of("slurm", {})
    with pytest.raises(ConfigError, match="an array without gaps"):
        Shard.of("slurm", names | {"SLURM_ARRAY_TASK_ID": "9"})
