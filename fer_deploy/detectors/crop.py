"""Which square the classifier sees around the box of each detector; measured with benchmarks/crop_margin.py."""

from types import MappingProxyType

from fer_deploy.detectors.config import DetectorName
from fer_deploy.vision.preprocess import CropConfig

CROPS: MappingProxyType[DetectorName, CropConfig] = MappingProxyType({
    "haar": CropConfig(scale=1.0, shift=0.0),
    "yunet": CropConfig(scale=1.16, shift=-0.02),
})  # fmt: skip
"""FER2013's pictures, whose margins training has seen, lie like this about the box that a detector finds in them."""
