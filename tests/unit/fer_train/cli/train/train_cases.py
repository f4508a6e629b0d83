"""The command line in this process."""

import json

from click.testing import CliRunner

from fer_train.checkpoint import read_spec_json
from fer_train.cli import main

TRAIN_COMMANDS = ("train", "distill", "crossval")


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def spec_of(out):
    return json.loads(read_spec_json(out / "best.safetensors"))
