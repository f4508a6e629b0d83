"""Find clips, read their frames, and compute the overlap of boxes. Imports nothing that slows the loops of fps.py."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.files.durable import whole_file

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("FER_SHARED", ROOT.parent / "shared"))
"""Clips and models beside the checkout, as for the tests."""
UNPUBLISHED = ROOT / "artifacts" / "benchmarks"
"""Default folder of the results; git ignores it."""
WHERE_CLIPS_ARE = "https://github.com/intel-iot-devkit/sample-videos (CC BY 4.0)"
_NUM_DRAWN = 300


def shared_clips() -> tuple[Path, ...]:
    """Return the clips of people beside the checkout."""
    return tuple(sorted((SHARED / "clips").glob("*.gif")))


def clips_at_hand() -> tuple[Path, ...]:
    """Return the clips beside the checkout; if there are none, a clip of drawn faces."""
    if clips := shared_clips():
        return clips
    click.echo(
        f"no --clip, and none in {SHARED / 'clips'}: the drawn faces of the synthetic source are used. "
        f"Clips of people: {WHERE_CLIPS_ARE}, then --clip FILE",
        err=True,
    )
    UNPUBLISHED.mkdir(parents=True, exist_ok=True)
    return (draw_clip(UNPUBLISHED / "synthetic.mp4", num_frames=_NUM_DRAWN),)


def draw_clip(path: Path, *, num_frames: int) -> Path:
    """Write the first frames of the synthetic source as a video and return its path.

    Raises:
        click.ClickException: OpenCV cannot write the video.
    """
    from fer_deploy.live.sources.synthetic import FPS, HEIGHT, WIDTH, SyntheticSource  # noqa: PLC0415 - see above

    with whole_file(path) as draft:
        writer = cv2.VideoWriter(str(draft), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
        if not writer.isOpened():
            raise click.ClickException(f"OpenCV cannot write {path}. Fix: --clip FILE; clips: {WHERE_CLIPS_ARE}")
        for frame, _ in zip(SyntheticSource().frames(), range(num_frames), strict=False):
            writer.write(frame.frame_bgr)
        writer.release()
    return path


def _or_at_hand(context: click.Context, parameter: click.Parameter, clips: tuple[Path, ...]) -> tuple[Path, ...]:
    return clips or clips_at_hand()


clips_option = click.option(
    "--clip",
    "clips",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    callback=_or_at_hand,
    help=f"With faces; repeatable.  [default: those beside the checkout, or drawn faces; clips: {WHERE_CLIPS_ARE}]",
)


def read_clip(path: str | Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a clip, (H, W, 3) uint8 BGR.

    Raises:
        click.UsageError: the clip has no frame.
    """
    capture = cv2.VideoCapture(str(path))
    num = 0
    while (read := capture.read())[0]:
        num += 1
        yield np.asarray(read[1], dtype=np.uint8)
    capture.release()
    if num == 0:
        raise click.UsageError(f"{path} has no frame. Fix: another --clip")


def looped_frames(path: str | Path, num: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `num` frames, opening the clip again at its end."""
    count = 0
    while count < num:
        for frame in read_clip(path):
            if count == num:
                return
            yield frame
            count += 1


def fps_of(path: Path) -> float:
    """Return the frames per second in the header of a clip."""
    capture = cv2.VideoCapture(str(path))
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return fps


def iou(one: Any, other: Any) -> float:
    """Return the intersection over union, 0 to 1, of two boxes (x1, y1, x2, y2)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (areas - shared))
