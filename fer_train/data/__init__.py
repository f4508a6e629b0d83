"""Load FER2013 into memory: readers for its file formats, splits, and batches on the device."""

from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.readers.fer2013 import read_faces
from fer_train.data.splits import apply_protocol, take_split

__all__ = ["EMOTIONS", "Faces", "apply_protocol", "read_faces", "take_split"]
