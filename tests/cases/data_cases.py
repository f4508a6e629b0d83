"""Faces and commands for the cases of data."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv

from fer_train.cli import main
from fer_train.data import read_faces
from fer_train.data.faces import Faces
from fer_train.errors import DataError

FACES = make_faces(Training=28, PublicTest=14)


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stderr


def train(folder: Path, data: Path, *args, code=0, **changes):
    path = folder / "config.yaml"
    values = {"num_epochs": 1, "batch_size": 7} | changes
    path.write_text(yaml.safe_dump(tiny_config(**values).model_dump(mode="json")))
    return run("train", "--config", path, "--data", data, "--out", folder / "out", "--no-tensorboard", *args, code=code)


def data_of(folder: Path, faces: Faces) -> Path:
    folder.mkdir(exist_ok=True)
    return write_csv(folder / "fer2013.csv", faces)


def error_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_faces(path)
    assert "Fix: " in str(caught.value)
    return str(caught.value)
