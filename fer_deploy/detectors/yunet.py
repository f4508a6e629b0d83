"""YuNet: a small network that finds faces and five landmarks (Wu et al. 2023; OpenCV Zoo, MIT).

Runs in any `Network`. Its results equal those of `cv2.FaceDetectorYN`; tests compare both.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.detectors.config import MIN_SCORE
from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.detectors.yunet_decoding import decode
from fer_deploy.detectors.yunet_file import require_official
from fer_deploy.detectors.yunet_heads import HEADS, NUM_CHANNELS, STRIDES, merge_heads
from fer_deploy.engines.base import Device
from fer_deploy.engines.network import Network, TensorInfo, open_network
from fer_deploy.engines.triton.address import TritonAddress, is_triton
from fer_deploy.errors import ArtifactError, EngineError, argument
from fer_deploy.spec import OUTPUT_NAME

_DIVISOR = STRIDES[-1]
_GRAY_SHARE = 0.6
"""YuNet scores gray faces lower. In a clip with two people made gray, 480x270, it found 23 of 112 faces at the scale
for colors and 101 at the scale for faces of this share; at 1280x720, 111 and 112."""
_SEPARATE = {f"{head}_{stride}": size for head, size in HEADS.items() for stride in STRIDES}
_MERGED = {f"head_{stride}": NUM_CHANNELS for stride in STRIDES}


class YuNetFinder:
    """A `FaceFinder`. Several may share one network; each has its own input tensor."""

    def __init__(self, network: Network, *, min_score: float = MIN_SCORE, smallest_face: int = 18) -> None:
        """Create a finder.

        Args:
            network: from `open_yunet`; may be shared.
            min_score: least score of a face, 0 to 1.
            smallest_face: see `FaceFinder.smallest_face`.
        """
        self._network, self._min_score, self.smallest_face = network, min_score, smallest_face
        self.smallest_gray_face = round(smallest_face / _GRAY_SHARE)
        (self._input,) = network.inputs
        self._dtype = network.inputs[self._input].dtype
        self._smallest, self._largest = _limits(network.inputs[self._input])
        self.largest_picture = None if self._largest is None else (self._largest[1], self._largest[0])
        self._allocate((0, 0))

    def find(self, picture_bgr: NDArray[np.uint8]) -> FoundFaces:
        """Return the faces in (H, W, 3) uint8.

        Raises:
            EngineError: the picture is larger than `largest_picture`, or the network failed.
        """
        if picture_bgr.shape[:2] != self._size:
            self._allocate((picture_bgr.shape[0], picture_bgr.shape[1]))
        cv2.split(picture_bgr, self._planes)
        for plane, target in zip(self._planes, self._targets, strict=True):
            np.copyto(target, plane)
        outputs = self._network.run({self._input: self._images})
        return decode(outputs, self._images.shape[3], self._min_score)

    def _allocate(self, size: tuple[int, int]) -> None:
        """Allocate the tensor for this height and width, padded with zeros on the right and below to whole strides."""
        height, width = size
        if self._largest is not None and (height > self._largest[0] or width > self._largest[1]):
            raise EngineError(
                f"a picture of {width}x{height} is larger than the {self._largest[1]}x{self._largest[0]} that this "
                f"YuNet accepts. Fix: a smaller picture, or a {argument('detector_model')} for larger ones"
            )
        padded = [max(-(-size // _DIVISOR) * _DIVISOR, least) for size, least in zip(size, self._smallest, strict=True)]
        self._size = size
        self._images = np.zeros((1, 3, *padded), dtype=self._dtype)
        self._targets = [self._images[0, channel, :height, :width] for channel in range(3)]
        self._planes = [np.empty(size, dtype=np.uint8) for _ in range(3)]


def open_yunet(path: Path, *, fix: str, device: Device = "cpu", threads: int = 1) -> Network:
    """Load a YuNet with its heads merged (`merge_heads`), or a plan of it, and check it.

    Args:
        path: its `.onnx`, or a `.plan`, or its address on a Triton server.
        fix: how to fix a file that is missing, damaged or another network; ends the message.
        device: see `fer_deploy.engines.network.open_network`.
        threads: see `open_network`.

    Raises:
        ArtifactError: missing or damaged file, or another network; other errors: see `open_network`.
    """

    def checked(content: bytes) -> bytes:
        return merge_heads(require_official(content, path))

    network = open_network(path, fix=fix, device=device, threads=threads, rewrite=checked)
    check_yunet(network, where=str(TritonAddress.parse(path) if is_triton(path) else path), fix=fix)
    return network


def check_yunet(network: Network, *, where: str, fix: str) -> None:
    """Compare a network's tensors with YuNet's.

    Raises:
        ArtifactError: it is another network, or an older YuNet; `where` names its file and `fix` ends the message.
    """
    inputs = [(info.dtype, info.shape[:2]) for info in network.inputs.values() if len(info.shape) == 4]
    shapes = {name: info.shape for name, info in network.outputs.items() if info.dtype == "float32"}
    is_separate = {name: shape[-1] for name, shape in shapes.items() if shape} == _SEPARATE
    is_merged = {name: shape[1] for name, shape in shapes.items() if len(shape) == 4} == _MERGED
    if [len(network.outputs[name].shape) for name in network.outputs] == [2] and OUTPUT_NAME in network.outputs:
        raise ArtifactError(
            f"cannot use {where} as a YuNet: it is an emotion model. Fix: give it as {argument('engine')}; "
            f"for the detector, {fix}"
        )
    if (
        inputs not in ([("float32", (1, 3))], [("uint8", (1, 3))])
        or len(network.inputs) != 1
        or not (is_separate or is_merged)
    ):
        raise ArtifactError(
            f"cannot use {where} as a YuNet: it has {', '.join(network.inputs)} -> {', '.join(network.outputs)}; "
            f"expected one image (1, 3, H, W) -> {', '.join(_SEPARATE)}. Fix: {fix}"
        )
    smallest, largest = _limits(next(iter(network.inputs.values())))
    for height, width in (smallest, largest or smallest):
        if height % _DIVISOR or width % _DIVISOR:
            raise ArtifactError(
                f"cannot use {where}: it accepts pictures of {width}x{height}, expected multiples of {_DIVISOR}. "
                f"Fix: {fix}"
            )


def _limits(image: TensorInfo) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return height and width of the smallest and of the largest input; None: no limit."""
    if image.smallest is not None and image.largest is not None:
        return (image.smallest[2], image.smallest[3]), (image.largest[2], image.largest[3])
    height, width = image.shape[2:]
    if height is None or width is None:
        return (height or 0, width or 0), None
    return (height, width), (height, width)
