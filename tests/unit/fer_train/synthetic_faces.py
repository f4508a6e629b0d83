"""Made-up faces, the files that hold them, and the smallest useful training config. No real image anywhere."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data.consensus import COLUMNS
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.readers.ferplus import VOTES

NO_AUGMENT = {
    "rotation_degrees": 0.0,
    "translation": 0.0,
    "scale": 0.0,
    "flip_probability": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "erase_probability": 0.0,
}
PLAIN_INPUT = {"height": 48, "width": 48, "mean": 0.0, "std": 1.0}
"""The least that a ModelSpec says of its input."""
NARROW_CHANNELS = (4, 8, 8, 8)
"""In place of Net's 64-128-256-512 where a test is about the loop and not about the network."""


def make_faces(seed: int = 0, num_classes: int = 7, **counts: int) -> Faces:
    """Return noise faces with the labels 0, 1, 2, ... in turn; `counts` names the splits, in order."""
    counts = counts or {"Training": 64, "PublicTest": 21}
    total = sum(counts.values())
    splits = [split for split, count in counts.items() for _ in range(count)]
    labels = np.arange(total, dtype=np.int64) % num_classes
    noise = np.random.default_rng(seed).integers(0, 120, size=(total, 48, 48))
    images = (noise + labels[:, None, None] * 15).astype(np.uint8)  # brighter means a higher label
    return Faces(images, labels, np.array(splits), np.arange(total, dtype=np.int64), f"{seed:064x}")


def tiny_config(**changes: Any) -> TrainConfig:
    """Return a config whose run takes about a second on one core."""
    values = {
        "image_size": 16,
        "batch_size": 16,
        "num_epochs": 3,
        "learning_rate": 0.05,
        "ema_decay": 0.9,
        "device": "cpu",
        "precision": "fp32",
        "protocol": "official",
        "seed": 5,
    }
    return config_from_dict(values | changes, where="test")


def csv_row(face: np.ndarray, label: object = 3, usage: str = "Training") -> str:
    return f'{label},"{" ".join(map(str, face.ravel()))}",{usage}'


def write_csv(path: Path, faces: Faces) -> Path:
    """Write Kaggle's fer2013.csv."""
    rows = [csv_row(*face) for face in zip(faces.images, faces.labels, faces.splits, strict=True)]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, ""]))
    return path


def write_icml_csv(path: Path, faces: Faces) -> Path:
    """Write Kaggle's icml_face_data.csv: another column order, and spaces in the names."""
    rows = [
        f"{label},{split},{' '.join(map(str, image.ravel()))}"
        for image, label, split in zip(faces.images, faces.labels, faces.splits, strict=True)
    ]
    path.write_text("\n".join(["emotion, Usage, pixels", *rows, ""]))
    return path


def write_folder(root: Path, faces: Faces, *, named: bool = True) -> Path:
    """Write train/<class>/ and test/<class>/ with PNG files; `named` ones tell split and row in their names."""
    for image, label, split, row in zip(faces.images, faces.labels, faces.splits, faces.rows, strict=True):
        folder = root / ("train" if split == "Training" else "test") / EMOTIONS[label]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / (f"{split}_{row}.png" if named else f"im{row:04}.png")), image)
    return root


def write_votes(path: Path, usages: list[str], votes: list[list[object]]) -> Path:
    """Write FER+'s fer2013new.csv."""
    pairs = enumerate(zip(usages, votes, strict=True))
    rows = [f"{usage},fer{i:07}.png,{','.join(map(str, v))}" for i, (usage, v) in pairs]
    path.write_text("\n".join([f"Usage,Image name,{','.join(VOTES)}", *rows, ""]))
    return path


def make_votes(faces: Faces) -> np.ndarray:
    """Return (N, 10) votes: 7 for the label's emotion, 3 for the next; every 5th face contempt, every 11th no majority.

    Rows 13, 26, ... are "not a face" for all ten taggers.
    """
    votes = np.zeros((len(faces), len(VOTES)), dtype=np.uint8)
    for i, label in enumerate(faces.labels):
        first, second = (COLUMNS[(label + step) % len(EMOTIONS)] for step in (0, 1))
        if i % 5 == 4:
            first = VOTES.index("contempt")
        votes[i, first], votes[i, second] = (5, 5) if i % 11 == 10 else (7, 3)
        if i and i % 13 == 0:
            votes[i] = np.eye(len(VOTES), dtype=np.uint8)[VOTES.index("NF")] * 10
    return votes
