"""Write a model repository for Triton Inference Server from model files. Uses no protobuf."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_deploy.errors import ConfigError, MissingDependencyError
from fer_deploy.export.publish import drafts_in, rename_together
from fer_deploy.export.triton.model import Servable, TritonSettings, choose_batching, model_name, read_servable


def write_triton_repository(
    artifacts: Sequence[Path],
    folder: Path,
    *,
    settings: TritonSettings | None = None,
    detector: Path | None = None,
) -> list[Path]:
    """Write one model folder per artifact, and one of the detector; return the folders in this order.

    `net-fp32.onnx` becomes `<folder>/net-fp32-onnx/{config.pbtxt,labels.txt,1/model.onnx}`; a `.plan` likewise, as
    `model.plan`. Either all folders appear or the repository does not change. An existing folder is replaced only if
    this function wrote it.

    Raises:
        ArtifactError: an artifact is missing, damaged or foreign.
        ConfigError: settings contradict each other or a plan.
        EngineError: ONNX Runtime cannot open an ONNX model here.
        ExportError: Triton cannot serve an artifact, a foreign folder has the same name, or `folder` is not writable.
        MissingDependencyError: the extra `triton` is not installed.
    """
    with drafted_models(artifacts, folder, settings=settings, flag="--out", detector=detector) as drafts:
        rename_together(drafts)
        return list(drafts.values())


@contextmanager
def drafted_models(
    artifacts: Sequence[Path],
    folder: Path,
    *,
    settings: TritonSettings | None = None,
    flag: str = "--triton",
    detector: Path | None = None,
) -> Iterator[dict[Path, Path]]:
    """Write the model folders with temporary names in `folder`, check them, and yield a mapping from draft to name.

    Drafts that the body does not rename are deleted. Errors are those of `write_triton_repository`; `flag` is the flag
    that sets the folder.
    """
    settings = settings or TritonSettings()
    config_module, check_module = _load("config"), _load("check")
    servables = _read_all(artifacts, detector)
    detectors = {} if detector is None else {model_name(detector): detector}
    names = [*(one.name for one in servables), *detectors]
    if len(set(names)) < len(names):
        raise ConfigError(f"{detector} would be the model {names[-1]}, as another file would. Fix: rename it")
    texts = [
        config_module.config_text(config_module.build_config(one, choose_batching(one, settings), settings))
        for one in servables
    ]
    for final in filter(os.path.lexists, (folder / name for name in names)):
        check_module.require_own_folder(final)
    with drafts_in(folder, flag=flag, names=", ".join(names)) as drafts:
        for servable, text in zip(servables, texts, strict=True):
            draft = _draft(servable, text, config_module.LABELS_FILE, drafts)
            profile = servable.manifest.profile if servable.manifest else None
            check_module.check_model_folder(draft, profile=profile)
        for name, path in detectors.items():
            _load("detector").write_detector(path, drafts / name, settings)
        yield {drafts / name: folder / name for name in names}


def _load(name: str) -> Any:
    fix = "Fix: pip install 'fer-toolchain[triton,cpu]'"
    try:
        return import_module(f"fer_deploy.export.triton.{name}")
    # tritonclient turns a missing grpc into a RuntimeError
    except (ImportError, RuntimeError) as err:
        missing = getattr(err.__cause__ or err, "name", None) or err
        raise MissingDependencyError(f"a Triton repository needs {missing}, which cannot be imported. {fix}") from err


def _read_all(artifacts: Sequence[Path], detector: Path | None) -> list[Servable]:
    if not artifacts and detector is None:
        raise ConfigError("no artifact to serve. Fix: --engine artifacts/net/net-fp32.onnx, or --model ferplus")
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
