"""Releases and tables that the tests of `fer-train runs` make."""

import json

import numpy as np
from click.testing import CliRunner
from safetensors.numpy import save_file

from fer_train.cli import main

HARDWARE = "A CPU, 2 cores, torch 2"
TEACHERS = [{"path": "net1.safetensors", "sha256": "18c426ccc5f0", "architecture": "net"}]


def provenance_of(*, num_epochs=9, init=None, teachers=None, model="net", **more):
    config = {
        "model": model,
        "seed": 3,
        "num_epochs": num_epochs,
        "init": "/far/away.safetensors" if init else None,
        "distillation": {"teachers": ["/far/b.json"]} if teachers else None,
        "ferplus_share": 0.25,
    }
    steps = ({"init": init} if init else {}) | ({"teachers": teachers} if teachers else {})
    return {"config": config, "created": "2026-11-23T10:58:35+00:00", **steps, **more}


def write_release(path, *, plain=0.5, label_set="fer2013", **provenance):
    view = {"accuracy": plain, "f1": 0.4}
    spec = {
        "label_set": label_set,
        "provenance": provenance_of(**provenance),
        "metrics": {"PublicTest": {"plain": view, "flip": view | {"accuracy": 0.6}}},
    }
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"fer_model_spec": json.dumps(spec)})
    return path


def write_weights(path, *, label_set="fer2013", **provenance):
    """Write weights as a run leaves them: with their origin, and with the figures of an epoch."""
    spec = {"label_set": label_set, "provenance": provenance_of(**provenance), "metrics": {"accuracy": 0.9}}
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"fer_model_spec": json.dumps(spec)})


def epoch_of(accuracy=0.55, seconds=60.0):
    return {"seconds": seconds, "accuracy": accuracy, "f1": accuracy - 0.1}


def call(*flags, code=0):
    done = CliRunner().invoke(main, ["runs", *map(str, flags)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def rows_in(results):
    return json.loads(results.with_suffix(".json").read_text())["runs"]
