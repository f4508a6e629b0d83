"""write_triton_repository: model files in, a folder that Triton Inference Server serves out. Knows no protobuf."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_deploy.errors import ConfigError, ExportError, MissingDependencyError
from fer_deploy.export.triton_model import Servable, TritonSettings, choose_batching, read_servable


def write_triton_repository(
    artifacts: Sequence[Path], folder: Path, *, settings: TritonSettings | None = None
) -> list[Path]:
    """Write one model folder for each artifact and return them, in the same order.

    `net-fp32.onnx` becomes `<folder>/net-fp32-onnx/{config.pbtxt,labels.txt,1/model.onnx}`; a `.plan` likewise, as
    `model.plan`. All are written under a temporary name in `folder` and checked, then renamed one by one; a failure
    before that leaves the repository as it was. A folder of that name is replaced only if it was written here.

    Raises:
        ArtifactError: an artifact that is missing, damaged or foreign.
        ConfigError: settings that contradict each other or a plan.
        EngineError: an ONNX model that ONNX Runtime cannot open here.
        ExportError: an artifact that Triton cannot serve, a foreign folder in the way, or `folder` cannot be written.
        MissingDependencyError: the extra `triton` is not installed.
    """
    settings = settings or TritonSettings()
    config_module, check_module = _load("triton_config"), _load("triton_check")
    servables = _read_all(artifacts)
    texts = [
        config_module.config_text(config_module.build_config(one, choose_batching(one, settings), settings))
        for one in servables
    ]
    finals = [folder / one.name for one in servables]
    for final in filter(os.path.lexists, finals):
        check_module.require_own_folder(final)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as staging:
            for servable, text in zip(servables, texts, strict=True):
                staged = _stage(servable, text, config_module.LABELS_FILE, Path(staging))
                profile = servable.manifest.profile if servable.manifest else None
                check_module.check_model_folder(staged, profile=profile)
            for final in finals:
                _put_in_place(Path(staging) / final.name, final)
    except OSError as err:
        raise ExportError(f"cannot write into {folder}: {err.strerror or err}. Fix: another folder") from err
    finally:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return finals


def _load(name: str) -> Any:
    fix = "Fix: pip install 'fer-toolchain[triton,cpu]'"
    try:
        return import_module(f"fer_deploy.export.{name}")
    # tritonclient turns a missing grpc into a RuntimeError
    except (ImportError, RuntimeError) as err:
        missing = getattr(err.__cause__ or err, "name", None) or err
        raise MissingDependencyError(f"a Triton repository needs {missing}, which cannot be imported. {fix}") from err


def _read_all(artifacts: Sequence[Path]) -> list[Servable]:
    if not artifacts:
        raise ConfigError("no artifact to serve. Fix: --artifact artifacts/net/net-fp32.onnx")
    servables: dict[str, Servable] = {}
    for artifact in artifacts:
        servable = read_servable(artifact)
        if servable.name in servables:
            raise ConfigError(
                f"{servables[servable.name].artifact} and {artifact} would both be the model {servable.name}. "
                "Fix: rename one of them"
            )
        servables[servable.name] = servable
    return list(servables.values())


def _stage(servable: Servable, text: str, labels_file: str, staging: Path) -> Path:
    model = staging / servable.name
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(text, encoding="utf-8")
    (model / labels_file).write_text("".join(f"{label}\n" for label in servable.spec.labels), encoding="utf-8")
    shutil.copyfile(servable.artifact, model / "1" / servable.file_name)
    return model


def _put_in_place(staged: Path, final: Path) -> None:
    """Rename; a folder cannot replace a full one in one step, so the old one steps aside and comes back on failure."""
    if not final.exists():
        os.replace(staged, final)
        return
    old = staged.with_name(f"{staged.name}.old")
    os.replace(final, old)
    try:
        os.replace(staged, final)
    except BaseException:
        os.replace(old, final)
        raise
