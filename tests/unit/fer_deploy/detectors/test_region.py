import pytest

from fer_deploy.detectors.region import check_region, pixels_of, region_from_text
from fer_deploy.errors import ConfigError


@pytest.mark.parametrize(("text", "region"), [("0,0,1,1", (0, 0, 1, 1)), (" 10, 20,300,200 ", (10, 20, 300, 200))])
def test_text(text, region):
    assert region_from_text(text) == region


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d"])
def test_text_that_is_no_region(text):
    with pytest.raises(
        ValueError, match=r'expected x1,y1,x2,y2\. Fix: roi="0\.25,0,0\.75,1" \(--roi 0\.25,0,0\.75,1\) for shares, or'
    ):
        region_from_text(text)


@pytest.mark.parametrize(
    "region", [(-1, 0, 5, 5), (5, 0, 5, 5), (0, 9, 5, 3), (0.0, 0.5, 1.0, 0.5), (0, 0, float("nan"), 1)]
)
def test_without_area(region):
    with pytest.raises(ValueError, match="expected 0 <= x1 < x2 and 0 <= y1 < y2"):
        check_region(region)


def test_fractions_and_pixels_mixed():
    with pytest.raises(ValueError, match=r'expected fractions up to 1 or whole pixels\. Fix: roi="0\.25'):
        check_region((0.5, 0, 300, 200))


@pytest.mark.parametrize(
    ("region", "pixels"),
    [
        ((0, 0, 1, 1), (0, 0, 480, 270)),
        ((0.25, 0.5, 0.75, 1), (120, 135, 360, 270)),
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((100, 100, 5000, 5000), (100, 100, 480, 270)),
    ],
)
def test_pixels(region, pixels):
    assert pixels_of(region, (480, 270), (480, 270)) == pixels


@pytest.mark.parametrize("region", [(240, 90, 480, 5000), (0.5, 1 / 3, 1, 1)])
@pytest.mark.parametrize(
    ("frame_size", "pixels"),
    [((240, 135), (120, 45, 240, 135)), ((960, 540), (480, 180, 960, 540)), ((1, 1), (0, 0, 1, 1))],
)
def test_the_same_part_of_the_scene_at_another_resolution(region, frame_size, pixels):
    assert pixels_of(region, frame_size, (480, 270)) == pixels


def test_outside_of_the_frame():
    wanted = r"the region 500,0,600,100 has no pixel in a frame of 480x270\. Fix: a roi \(--roi\) inside"
    with pytest.raises(ConfigError, match=wanted):
        pixels_of((500, 0, 600, 100), (480, 270), (480, 270))
