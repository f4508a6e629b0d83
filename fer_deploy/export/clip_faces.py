"""Cut faces out of recordings as the live loop does, for the slice `video` of a comparison.

Rotation metadata of a recording is ignored.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.error import FFmpegError
from numpy.typing import NDArray

from fer_deploy.detectors import DetectorConfig, build_detectors, describe_detector
from fer_deploy.errors import ArtifactError
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.spec import InputSpec
from fer_deploy.vision.preprocess import CropConfig, images_from_faces

_MAX_FRAMES = 20_000
"""Largest number of frames that are read of one recording: eleven minutes."""
_FRAMES_PER_FACE = 2
"""Frames to search per wanted face; some frames have no face."""


def clip_faces(clips: Path, spec: InputSpec, count: int) -> VerificationFaces:
    """Return at most `count` faces without labels, spread over all recordings and their whole length.

    Args:
        clips: a recording, a picture, or a folder of them.
        spec: input of the model.
        count: at least 1.

    Raises:
        ArtifactError: the path does not exist, has no recording, or the recordings have no face.
    """
    files, config = _files(clips), DetectorConfig()
    detector = build_detectors(config)()
    wanted = -(-count // len(files))
    crops = []
    for file in files:
        found: list[NDArray[np.uint8]] = []
        for frame in _spread_frames(file, wanted * _FRAMES_PER_FACE):
            frame_bgr = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
            found += list(images_from_faces(frame_bgr, detector.detect(frame_bgr), spec, CropConfig()))
        kept = np.linspace(0, len(found) - 1, min(wanted, len(found)), dtype=np.int64)
        crops += [found[position] for position in kept]
    if not crops:
        raise ArtifactError(f"found no face in {clips}. Fix: --clip with a recording of people, or without --clip")
    return VerificationFaces(
        np.stack(crops[:count]), None, f"faces of {clips.name or 'recordings'} ({describe_detector(config)})"
    )


def _files(clips: Path) -> list[Path]:
    try:
        if not clips.is_dir():
            return [clips]
        found = sorted(path for path in clips.iterdir() if path.is_file() and not path.name.startswith("."))
        found = [path for path in found if _is_readable(path)]
    except OSError as err:
        raise ArtifactError(f"cannot read {clips}: {err.strerror or err}. Fix: --clip with a recording") from err
    if not found:
        raise ArtifactError(f"no recording in {clips}. Fix: --clip with a folder of recordings or pictures")
    return found


def _is_readable(path: Path) -> bool:
    """Return whether a file is a recording; other files in a folder, such as a licence, are skipped."""
    try:
        return next(_frames(path), None) is not None
    except ArtifactError:
        return False


def _spread_frames(path: Path, count: int) -> Iterator[VideoFrame]:
    """Yield at most `count` frames, evenly spread; a first pass counts them, because few formats store their number."""
    total = sum(1 for _ in _frames(path))
    step = max(1, -(-total // count))
    yield from islice(_frames(path), 0, None, step)


def _frames(path: Path) -> Iterator[VideoFrame]:
    """Yield the frames; Python opens the file, because its name may be any bytes."""
    try:
        with path.open("rb") as file, av.open(file, "r") as container:
            yield from islice(container.decode(video=0), _MAX_FRAMES)
    except (FFmpegError, OSError, IndexError) as err:  # IndexError: it has no video
        reason = getattr(err, "strerror", None) or err
        raise ArtifactError(
            f"cannot read {path}: {reason}; expected a recording or a picture. Fix: --clip with another file"
        ) from err
