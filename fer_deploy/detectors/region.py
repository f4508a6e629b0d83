"""Parse and check the region that the user chose: x1, y1, x2, y2 in pixels, or in fractions if all are up to 1."""

from fer_deploy.errors import ConfigError, argument

Region = tuple[float, float, float, float]
_SHARES = argument("roi", "0.25,0,0.75,1")
_PIXELS = argument("roi", "320,0,960,720")


def region_from_text(text: str) -> Region:
    """Return the region of "x1,y1,x2,y2".

    Raises:
        ValueError: not four numbers; `check_region` checks their values.
    """
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError as err:
        raise ValueError(f"expected x1,y1,x2,y2. Fix: {_SHARES} for shares, or {_PIXELS}") from err
    return x1, y1, x2, y2


def check_region(region: Region) -> Region:
    """Return the region.

    Raises:
        ValueError: negative, without area, or fractions and pixels mixed.
    """
    x1, y1, x2, y2 = region
    if not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise ValueError(f"expected 0 <= x1 < x2 and 0 <= y1 < y2. Fix: {argument('roi', 'left,top,right,bottom')}")
    if not _is_fraction(region) and any(value != int(value) for value in region):
        raise ValueError(f"expected fractions up to 1 or whole pixels. Fix: {_SHARES}, or {_PIXELS}")
    return region


def pixels_of(region: Region, frame_size: tuple[int, int], scene_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return x1, y1, x2, y2 in pixels of a frame, x2 and y2 exclusive, clipped to it.

    Args:
        region: fractions, or pixels of a frame of `scene_size`.
        frame_size: width and height of the frame.
        scene_size: width and height of the first frame of the same scene.

    Raises:
        ConfigError: no pixel of the scene is left.
    """
    width, height = scene_size
    scale = (width, height, width, height) if _is_fraction(region) else (1, 1, 1, 1)
    x1, y1, x2, y2 = (round(value * factor) for value, factor in zip(region, scale, strict=True))
    x2, y2 = min(x2, width), min(y2, height)
    if x1 >= x2 or y1 >= y2:
        raise ConfigError(
            f"the region {_words(region)} has no pixel in a frame of {width}x{height}. "
            f"Fix: a {argument('roi')} inside the frame, or in fractions of it such as 0.25,0,0.75,1"
        )
    across, down = frame_size
    # Rounded outwards, so that the region is not empty in a small frame.
    return x1 * across // width, y1 * down // height, -(-x2 * across // width), -(-y2 * down // height)


def _is_fraction(region: Region) -> bool:
    return max(region) <= 1


def _words(region: Region) -> str:
    return ",".join(f"{value:g}" for value in region)
