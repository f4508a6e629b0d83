"""Everything that opens a file which came from elsewhere, and what it may do with it: work, or refuse in words."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fer_deploy.cli.inspect
from fer_deploy.cli.inspect import inspect_file
from fer_deploy.engines import open_engine
from fer_deploy.engines.network import open_network
from fer_deploy.environment import survey
from fer_deploy.errors import FerDeployError
from fer_deploy.export.checkpoint import load_checkpoint
from fer_deploy.export.graph.source import read_network, read_onnx
from fer_deploy.manifest import read_manifest, read_network_manifest
from fer_train.checkpoint import load_release, load_state
from fer_train.errors import FerTrainError

fer_deploy.cli.inspect.survey = cache(survey)  # it asks nvidia-smi
_OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate memory", "can't allocate memory", "MemoryError")
"""What a refusal says that came only because the worker's memory is limited; elsewhere it would be no refusal."""
_ENTRY_POINTS: dict[str, dict[str, Callable[[Path], Any]]] = {
    "onnx": {
        "open_engine": lambda path: open_engine(path, device="cpu").close(),
        "read_onnx": read_onnx,
        "inspect": inspect_file,
    },
    "checkpoint": {"load_release": load_release, "load_checkpoint": load_checkpoint, "inspect": inspect_file},
    "manifest": {"read_manifest": read_manifest, "open_engine": open_engine, "inspect": inspect_file},
    "state": {"load_state": load_state},
    "network": {
        "open_network": lambda path: open_network(path, fix="another file"),
        "read_network": read_network,
        "inspect": inspect_file,
    },
    "network_manifest": {
        "read_network_manifest": read_network_manifest,
        "open_network": lambda path: open_network(path, fix="another file", device="cuda"),
        "inspect": inspect_file,
    },
}


@dataclass
class Outcome:
    """What became of one case: by entry point "works" or the class of the refusal, and what must not be."""

    answers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def try_file(kind: str, path: Path) -> Outcome:
    """Hand a file to all that opens its kind."""
    outcome = Outcome()
    for name, call in _ENTRY_POINTS[kind].items():
        try:
            call(path)
        except (FerDeployError, FerTrainError) as err:
            outcome.answers[name] = type(err).__name__
            outcome.faults += [f"{name}: {fault}" for fault in _faults_of(err, path)]
        except Exception as err:  # noqa: BLE001 - this is what is looked for
            outcome.answers[name] = type(err).__name__
            where = "".join(traceback.format_tb(err.__traceback__, limit=-4))
            outcome.faults.append(f"{name}: {type(err).__name__} instead of a refusal: {str(err)[:400]}\n{where}")
        else:
            outcome.answers[name] = "works"
    return outcome


def _faults_of(err: Exception, path: Path) -> list[str]:
    text, faults = str(err), []
    if path.name not in text:
        faults.append(f"the refusal does not name the file: {text[:300]}")
    if len(text) > 20_000:
        faults.append(f"the refusal has {len(text):,} characters")
    chain: BaseException | None = err
    while chain is not None:
        if any(word in f"{type(chain).__name__} {chain}" for word in _OUT_OF_MEMORY):
            faults.append(f"takes memory without bound: {str(chain)[:300]}")
            break
        chain = chain.__cause__
    return faults
