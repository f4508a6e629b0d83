"""A trained Net and the data that it is measured on."""

import pytest
import torch
from unit.fer_train.cli.release_command.release_cases import save
from unit.fer_train.synthetic_faces import make_faces, write_csv

from fer_train.data import read_faces
from fer_train.models import build_model


@pytest.fixture
def faces():
    """21 faces of PublicTest, two of which also stand in Training."""
    made = make_faces(Training=64, PublicTest=21)
    made.images[5], made.images[6] = made.images[64], made.images[70]
    return made


@pytest.fixture
def data(tmp_path, faces):
    return write_csv(tmp_path / "fer2013.csv", faces)


@pytest.fixture
def model():
    torch.manual_seed(2)
    return build_model("net", num_classes=7)


@pytest.fixture
def best(tmp_path, model, data):
    return save(tmp_path, model, read_faces(data))
