"""Calls of `fer-train release`, and what it releases."""

from click.testing import CliRunner
from unit.fer_train.synthetic_faces import tiny_config

from fer_train.checkpoint import save_release
from fer_train.cli import main
from fer_train.spec import describe_model


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def save(folder, model, faces, **changes):
    path = folder / "best.safetensors"
    save_release(path, model, describe_model(tiny_config(**changes), faces, {}))
    return path


def release(best, data, out, *flags, code=0):
    return run("release", "--checkpoint", best, "--data", data, "--out", out, "--device", "cpu", *flags, code=code)
