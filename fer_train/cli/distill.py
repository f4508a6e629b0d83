"""fer-train distill: train one model on the answers of others beside the labels."""

from pathlib import Path
from typing import Any

from fer_train.cli import training_inputs
from fer_train.cli.train import train_and_tell
from fer_train.config_file import load_config


def distill(
    config_path: Path,
    out: Path | None,
    resume: bool,
    tensorboard: bool,
    teachers: tuple[str, ...],
    weight: float | None,
    temperature: float | None,
    cached: bool | None,
    init: str | None,
    **rest: Any,
) -> None:
    """Train the config's model on what teachers say of each face; see `fer_train.cli.flags.distill` for the flags."""
    overrides, files = training_inputs.split_training_flags(rest)
    written = load_config(config_path).distillation
    given = {"weight": weight, "temperature": temperature, "cached": cached}
    settings = {} if written is None else written.model_dump()
    settings |= {"teachers": teachers} | {k: v for k, v in given.items() if v is not None}
    config = training_inputs.config_of(
        config_path, overrides | {"distillation": settings} | ({"init": init} if init else {})
    )
    training_inputs.require_weights_of(config, out, config_path, quick=files["quick"], suffix="-distilled")
    faces = training_inputs.load_training_faces(config, **files)
    out = training_inputs.run_folder(out, config_path, quick=files["quick"], suffix="-distilled")
    train_and_tell(config, faces, out, resume=resume, tensorboard=tensorboard)
