"""The image-folder layout of FER2013 copies: train/<class>/*.png and test/<class>/*.png."""

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import EMOTIONS, FACE_SIZE, Faces, resize_face
from fer_train.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_NAMED_SPLIT = re.compile(r"^(Training|PublicTest|PrivateTest)_(\d+)")


def read_image_folder(root: Path) -> Faces:
    """Read every image under `root`/train and `root`/test, in path order.

    File names that begin with Training_, PublicTest_ or PrivateTest_ and a number give the split and the row;
    else train/ is "Training" and test/ is one split, "test". Images of another size are resized to 48x48.

    Raises:
        DataError: no such layout, an unknown class folder, or an image that cannot be decoded.
    """
    entries = [entry for part in ("train", "test") for entry in _list_part(root, part)]
    if not entries:
        found = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{root} has no train/<class>/ or test/<class>/ images; found {found}. "
            "Fix: --data with the folder above train/"
        )
    images = np.empty((len(entries), FACE_SIZE, FACE_SIZE), dtype=np.uint8)
    digest = hashlib.sha256()
    for i, (path, label, split, _) in enumerate(entries):
        images[i] = _read_image(path)
        digest.update(f"{path.relative_to(root).as_posix()} {label} {split}".encode() + images[i].tobytes())
    return Faces(
        images=images,
        labels=np.array([label for _, label, _, _ in entries], dtype=np.int64),
        splits=np.array([split for _, _, split, _ in entries]),
        rows=np.array([-1 if row is None else row for *_, row in entries], dtype=np.int64),
        source_sha256=digest.hexdigest(),
    )


def _list_part(root: Path, part: str) -> list[tuple[Path, int, str, int | None]]:
    """Return (path, label, split, row or None) of each image of train/ or test/."""
    entries: list[tuple[Path, int, str, int | None]] = []
    folder = root / part
    for class_folder in sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []:
        name = class_folder.name.lower()
        if name not in EMOTIONS:
            raise DataError(
                f"{class_folder}: unknown class folder. Known classes: {', '.join(EMOTIONS)}. Fix: rename or remove it"
            )
        for path in sorted(p for p in class_folder.iterdir() if p.suffix.lower() in SUFFIXES):
            match = _NAMED_SPLIT.match(path.name)
            split = match[1] if match else {"train": "Training", "test": "test"}[part]
            entries.append((path, EMOTIONS.index(name), split, int(match[2]) if match else None))
    return entries


def _read_image(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{path} cannot be decoded as an image. Fix: restore or remove the file")
    return resize_face(np.asarray(image, dtype=np.uint8))
