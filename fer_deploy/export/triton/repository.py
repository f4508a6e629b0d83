"""write_triton_repository: model files in, a folder that Triton Inference Server serves out. Knows no protobuf."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_deploy.errors import ConfigError, MissingDependencyError
from fer_deploy.export.publish import drafts_in, rename_together
from fer_deploy.export.triton.model import Servable, TritonSettings, choose_batching, read_servable


def write_triton_repository(
    artifacts: Sequence[Path], folder: Path, *, settings: TritonSettings | None = None
) -> list[Path]:
    """Write one model folder for each artifact and return them, in the same order.

    `net-fp32.onnx` becomes `<folder>/net-fp32-onnx/{config.pbtxt,labels.txt,1/model.onnx}`; a `.plan` likewise, as
    `model.plan`. They appear together, or the repository stays as it was. A folder of that name is replaced only if it
    was written here.

    Raises:
        ArtifactError: an artifact that is missing, damaged or foreign.
        ConfigError: settings that contradict each other or a plan.
        EngineError: an ONNX model that ONNX Runtime cannot open here.
        ExportError: an artifact that Triton cannot serve, a foreign folder in the way, or `folder` cannot be written.
        MissingDependencyError: the extra `triton` is not installed.
    """
    with drafted_models(artifacts, folder, settings=settings, flag="--out") as drafts:
        rename_together(drafts)
        return list(drafts.values())


@contextmanager
def drafted_models(
    artifacts: Sequence[Path], folder: Path, *, settings: TritonSettings | None = None, flag: str = "--triton"
) -> Iterator[dict[Path, Path]]:
    """Write the model folders under temporary names in `folder`, check them, and yield draft -> final name.

    What the body does not rename goes away. Errors are those of `write_triton_repository`; `flag` is the one to name
    another folder with.
    """
    settings = settings or TritonSettings()
    config_module, check_module = _load("config"), _load("check")
    servables = _read_all(artifacts)
    texts = [
        config_module.config_text(config_module.build_config(one, choose_batching(one, settings), settings))
        for one in servables
    ]
    for final in filter(os.path.lexists, (folder / one.name for one in servables)):
        check_module.require_own_folder(final)
    with drafts_in(folder, flag=flag, names=", ".join(one.name for one in servables)) as drafts:
        for servable, text in zip(servables, texts, strict=True):
            draft = _draft(servable, text, config_module.LABELS_FILE, drafts)
            profile = servable.manifest.profile if servable.manifest else None
            check_module.check_model_folder(draft, profile=profile)
        yield {drafts / one.name: folder / one.name for one in servables}


def _load(name: str) -> Any:
    fix = "Fix: pip install 'fer-toolchain[triton,cpu]'"
    try:
        return import_module(f"fer_deploy.export.triton.{name}")
    # tritonclient turns a missing grpc into a RuntimeError
    except (ImportError, RuntimeError) as err:
        missing = getattr(err.__cause__ or err, "name", None) or err
        raise MissingDependencyError(f"a Triton repository needs {missing}, which cannot be imported. {fix}") from err


def _read_all(artifacts: Sequence[Path]) -> list[Servable]:
    if not artifacts:
        raise ConfigError("no artifact to serve. Fix: --engine artifacts/net/net-fp32.onnx")
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


def _draft(servable: Servable, text: str, labels_file: str, drafts: Path) -> Path:
    model = drafts / servable.name
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(text, encoding="utf-8")
    (model / labels_file).write_text("".join(f"{label}\n" for label in servable.spec.labels), encoding="utf-8")
    shutil.copyfile(servable.artifact, model / "1" / servable.file_name)
    return model
