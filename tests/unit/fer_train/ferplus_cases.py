"""Files of a small data set with FER+'s votes, releases of both label sets, and the command line."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, make_votes, tiny_config, write_csv, write_votes

from fer_train.checkpoint import read_spec_json, save_release
from fer_train.cli import main
from fer_train.data import Faces, read_faces
from fer_train.data.consensus import NO_MAJORITY, majority_labels, plurality_labels
from fer_train.models import build_model
from fer_train.spec import describe_model

FERPLUS = {"labels": "ferplus", "num_classes": 8}


@dataclass(frozen=True)
class FerplusFiles:
    """96 faces of Training, 42 of PublicTest, one of which is also a training face.

    Attributes:
        counts: how many faces have a majority, by split; "learned": faces of Training most often called an emotion.
    """

    faces: Faces
    data: Path
    votes: Path
    counts: dict[str, int]


def write_ferplus_files(folder):
    faces = make_faces(Training=96, PublicTest=42)
    faces.images[5] = faces.images[96]
    cast = make_votes(faces)
    data = write_csv(folder / "fer2013.csv", faces)
    votes = write_votes(folder / "fer2013new.csv", list(faces.splits), cast.tolist())
    counts = {
        split: int((majority_labels(cast[faces.splits == split]) != NO_MAJORITY).sum()) for split in faces.counts()
    }
    counts["learned"] = int((plurality_labels(cast[faces.splits == "Training"]) != NO_MAJORITY).sum())
    return FerplusFiles(read_faces(data, ferplus=votes), data, votes, counts)


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def save(path, labels, *, seed=0, label_set=None, config=None, faces=None):
    """Write an untrained release with a steep classifier, which answers differently from face to face."""
    torch.manual_seed(seed)
    model = build_model("net", num_classes=len(labels))
    with torch.no_grad():
        model.classifier.weight.mul_(30)
    spec = describe_model(config or tiny_config(num_classes=len(labels)), faces or make_faces(), {})
    spec |= {"labels": list(labels)} | ({} if label_set is None else {"label_set": label_set})
    save_release(path, model, spec)
    return path


def evaluate(path, data, *more, code=0):
    return run("evaluate", "--checkpoint", path, "--data", data, "--device", "cpu", *more, code=code)


def spec_of(path):
    return json.loads(read_spec_json(path))
