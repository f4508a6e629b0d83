"""Make small files by the names that the documentation uses: `python stand_ins.py FOLDER REPOSITORY`.

Runs in the server, where the networks are narrow. Faces are striped patterns of seven kinds, which the networks know.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
import yaml
from integration.export_models import patterns
from onnx import numpy_helper
from torch import nn
from unit.fer_deploy.detectors.white_yunet import white_square_graph
from unit.fer_train.synthetic_faces import make_votes, write_csv, write_folder, write_votes

from fer_deploy.export.verify.portrait import portrait_faces
from fer_deploy.live.sources.synthetic import SyntheticSource
from fer_deploy.spec import InputSpec
from fer_train.checkpoint import save_release
from fer_train.config_file import config_from_dict
from fer_train.data.faces import Faces
from fer_train.models import build_model
from fer_train.spec import describe_model

SPLITS = {"Training": 520, "PublicTest": 70}
NUM_FRAMES = 12
NEUTRAL = 6
"""What the portrait shows, in both orders of the labels."""
MODELS = {"net": ("net", 7), "senet": ("senet", 7), "senet-ferplus": ("senet", 8), "nano-ferplus": ("nano", 8)}


def drawn_faces() -> Faces:
    """Return patterns with FER2013's labels."""
    images, labels = patterns(sum(SPLITS.values()), seed=11)
    splits = np.repeat(list(SPLITS), list(SPLITS.values()))
    return Faces(images, labels, splits, np.arange(len(labels), dtype=np.int64), "0" * 64)


def fitted_model(architecture: str, num_classes: int, of_input: dict[str, Any]) -> nn.Module:
    """Return a network that was trained for some steps on the patterns, and on the portrait of exports without data.

    It knows them, so FP16 and INT8 answer as it does.
    """
    images, labels = patterns(280, seed=1)
    portraits = portrait_faces(InputSpec.model_validate(of_input))
    seen = np.concatenate([images[:, None], portraits])
    x = (torch.from_numpy(seen).float() - of_input["mean"]) / of_input["std"]
    answers = torch.from_numpy(np.concatenate([labels, np.full(len(portraits), NEUTRAL)]))
    torch.manual_seed(4)
    model = build_model(architecture, num_classes=num_classes, dropout=0.0).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(16):
        some = torch.randperm(len(x))[:56]
        loss = nn.functional.cross_entropy(model(x[some]), answers[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # one pass says all
    with torch.no_grad():
        model(x)
    return model.eval()


def write_weights(folder: Path, faces: Faces) -> None:
    """Write a release for each name in weights/."""
    folder.mkdir()
    for name, (architecture, num_classes) in MODELS.items():
        labels = "ferplus" if num_classes == 8 else "fer2013"
        config = config_from_dict({"model": architecture, "num_classes": num_classes, "labels": labels}, where=name)
        spec = describe_model(config, faces, {"PublicTest": {"accuracy": 0.5, "macro_f1": 0.5}})
        model = fitted_model(architecture, num_classes, spec["input"])
        save_release(folder / f"{name}.safetensors", model, spec)


def white_detector() -> onnx.ModelProto:
    """Return a YuNet that finds white squares alone: what is a little darker scores 0."""
    graph = white_square_graph()
    for weights in graph.initializer:
        if weights.name.endswith("_white"):
            weights.CopyFrom(numpy_helper.from_array(20 * numpy_helper.to_array(weights), weights.name))
    graph.initializer.append(numpy_helper.from_array(np.array([-19.0], dtype=np.float32), "darkness"))
    nodes = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "Conv" and node.input[1].endswith("_white"):
            (score,) = node.output
            node.input.append("darkness")
            node.output[0] = f"{score}_raw"
            nodes.append(onnx.helper.make_node("Relu", [f"{score}_raw"], [score]))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def short_config(values: dict[str, Any]) -> dict[str, Any]:
    """Return a config of training that takes one epoch of few steps."""
    values = values | {
        "num_epochs": 1,
        "batch_size": 128,
        "image_size": 32,
        "device": "cpu",
        "precision": "fp32",
        "compile": False,
    }
    values.pop("size_phases", None)
    return values


def write_configs(folder: Path, repository: Path) -> None:
    """Copy configs/; trainings are one epoch long."""
    shutil.copytree(repository / "configs", folder)
    for path in (folder / "train").glob("*.yaml"):
        path.write_text(yaml.safe_dump(short_config(yaml.safe_load(path.read_text()))))


def write_pictures(folder: Path) -> None:
    """Write clips and photographs of drawn faces, with a white square for the stand-in of YuNet."""
    frames = []
    for frame in SyntheticSource().frames():
        frame.frame_bgr[96:112, 32:48] = 255
        frames.append(frame.frame_bgr)
        if len(frames) == NUM_FRAMES:
            break
    (folder / "photos").mkdir()
    for name, index in {"photo.jpg": 0, "photos/first.png": 0, "photos/second.jpg": 10}.items():
        cv2.imwrite(str(folder / name), frames[index])
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(folder / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, (width, height))
    for pixels in frames:
        writer.write(pixels)
    writer.release()
    for name in ("interview.mp4", "second.mp4"):
        shutil.copy(folder / "clip.mp4", folder / name)
    (folder / "events.csv").write_text("start,end,label\n0:00.1,0:00.3,film A\n")
    (folder / "exclude.csv").write_text("start,end\n0:00.15,0:00.2\n")
    (folder / "participants.csv").write_text("video,group\ninterview.mp4,control\n")
    (folder / "people.csv").write_text("track,name\n1,Anna\n")
    (folder / "codes.csv").write_text("track,start_s,end_s,label\n1,0,60,happy\n")


def main(folder: Path, repository: Path) -> None:
    """Write everything."""
    faces = drawn_faces()
    write_csv(folder / "fer2013.csv", faces)
    write_votes(folder / "fer2013new.csv", list(faces.splits), make_votes(faces).tolist())
    write_folder(folder / "my-faces", faces, named=False)
    write_weights(folder / "weights", faces)
    write_configs(folder / "configs", repository)
    write_pictures(folder)
    detector = white_detector()
    for name in ("yunet.onnx", "face_detection_yunet_2026may.onnx"):
        onnx.save(detector, folder / name)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, folder / name)
    for name in ("examples", "benchmarks"):
        (folder / name).symlink_to(repository / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
