import pytest

from fer_deploy.durations import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.00"),
        (2.99, "0:02.99"),
        (2.994, "0:02.99"),
        (59.994, "0:59.99"),
        (59.996, "1:00.00"),
        (754.5, "12:34.50"),
        (3599.99, "59:59.99"),
        (3599.999, "1:00:00"),
        (3723.4, "1:02:03"),
        (86_400, "24:00:00"),
    ],
)
def test_as_on_a_clock(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [(7.6, 0, "0:08"), (59.7, 0, "1:00"), (0.25, 1, "0:00.2"), (61.25, 1, "1:01.2"), (3723.4, 0, "1:02:03")],
)
def test_fewer_decimals(seconds, decimals, text):
    assert duration_text(seconds, decimals=decimals) == text
