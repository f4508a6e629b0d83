import pytest
from archives.simulation import Farm, simulate

FARM = Farm(
    num_workers=4,
    num_segments=4000,
    compute_s=(1.0,),
    driver_s=1e-6,
    group=10,
    copy_bytes=1.0,
    link_bytes_s=1e9,
    requests=3,
    requests_s=1e9,
    latency_s=0.0,
)


def test_workers_alone():
    found = simulate(FARM)
    assert found.hours * 3600 == pytest.approx(1000, rel=0.01)
    assert found.workers == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("changed", "part", "seconds"),
    [
        ({"driver_s": 1.0}, "driver", 4000),
        ({"copy_bytes": 20e9}, "link", 8000),
        ({"requests_s": 3 / 2}, "store", 8000),
        ({"latency_s": 1 / 3}, None, 2000),
    ],
)
def test_what_saturates_decides(changed, part, seconds):
    found = simulate(FARM._replace(**changed))
    assert found.hours * 3600 == pytest.approx(seconds, rel=0.02)
    if part is not None:
        assert getattr(found, part) == pytest.approx(1, rel=0.02)
