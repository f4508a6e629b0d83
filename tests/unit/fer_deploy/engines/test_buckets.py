import pytest

from fer_deploy.engines.buckets import buckets_of, cut


@pytest.mark.parametrize(
    ("smallest", "largest", "buckets"),
    [
        (1, 64, (1, 2, 4, 8, 16, 32, 64)),
        (1, 1, (1,)),
        (8, 8, (8,)),
        (7, 7, (7,)),
        (1, 24, (1, 2, 4, 8, 16, 24)),
        (3, 10, (4, 8, 10)),
        (3, 3, (3,)),
        (5, 6, (6,)),
        (1, 128, (1, 2, 4, 8, 16, 32, 64, 128)),
    ],
)
def test_buckets(smallest, largest, buckets):
    assert buckets_of(smallest, largest) == buckets


@pytest.mark.parametrize(("smallest", "largest"), [(0, 4), (-1, 4), (4, 2)])
def test_no_profile(smallest, largest):
    with pytest.raises(ValueError, match=rf"found {smallest} to {largest}"):
        buckets_of(smallest, largest)


@pytest.mark.parametrize(
    ("num", "pieces"),
    [
        (0, []),
        (1, [(0, 1, 1)]),
        (3, [(0, 3, 4)]),
        (4, [(0, 4, 4)]),
        (9, [(0, 8, 8), (8, 9, 1)]),
        (15, [(0, 8, 8), (8, 15, 8)]),
        (16, [(0, 8, 8), (8, 16, 8)]),
    ],
)
def test_cut(num, pieces):
    assert list(cut(num, (1, 2, 4, 8))) == pieces


def test_a_static_plan_pads_everything():
    assert list(cut(5, (4,))) == [(0, 4, 4), (4, 5, 4)]
