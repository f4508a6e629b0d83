"""Best: the file best.json in a folder of artifacts, which `fer-deploy bench` writes and `open_engine` reads.

It names, for this machine, the artifacts that may be used and their settings, best first, once for each use.
"""

import logging
import os
import shlex
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fer_deploy.artifacts import file_sha256, require_file
from fer_deploy.engines.base import Device
from fer_deploy.engines.threads import available_cores
from fer_deploy.environment import cpu_of_this_machine
from fer_deploy.errors import ArtifactError, ConfigError, argument
from fer_deploy.spec import describe_faults

BEST_NAME = "best.json"
MAX_BEST_BYTES = 1_000_000
Goal = Literal["latency", "throughput", "size"]
Use = Literal["single", "workers"]
"""One call at a time with all cores, or a worker on each core, each with calls of one thread."""
USES: dict[Use, str] = {"single": "one call at a time", "workers": "a worker on each core, one thread a call"}
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx")
"""Packages whose version decides how fast a model runs."""
_GPUS = Path("/proc/driver/nvidia/gpus")
_Text = Annotated[str, Field(max_length=2000)]
_log = logging.getLogger(__name__)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fingerprint(_Frozen):
    """What decides on a machine which artifact is the best; `cores` are those that the process may use."""

    cpu: _Text
    features: tuple[_Text, ...]
    cores: int = Field(ge=1)
    runtimes: dict[_Text, _Text]
    gpus: tuple[_Text, ...]

    @classmethod
    def of_this_machine(cls) -> Self:
        """Read it; takes milliseconds."""
        cpu, features = cpu_of_this_machine()
        return cls(cpu=cpu, features=features, cores=available_cores(), runtimes=_versions(), gpus=_gpus())

    def differences(self, other: "Fingerprint") -> list[str]:
        """Return how `other` differs, as text: what it has, and what this one has."""
        pairs = [
            ("CPU", other.cpu, self.cpu),
            ("CPU features", " ".join(other.features), " ".join(self.features)),
            ("cores", other.cores, self.cores),
            ("runtimes", _listed(other.runtimes), _listed(self.runtimes)),
            ("GPUs", ", ".join(other.gpus), ", ".join(self.gpus)),
        ]
        return [f"{name}: {new or 'none'}, measured: {old or 'none'}" for name, new, old in pairs if new != old]


class Entry(_Frozen):
    """An artifact with its settings, and what was measured with them.

    Attributes:
        file: name in the folder.
        sha256: of its bytes.
        device: for `open_engine`.
        threads: of one call on the CPU; None: it computes nothing there.
        spinning: see `open_engine`.
        engine: runtime and settings as text.
        batch: images a call at the highest throughput within the latency budget.
        p50_ms, p99_ms: of a call with one image.
        per_s: images a second at that batch.
        is_stable: whether the last windows of both measurements agreed.
        is_usable: whether it holds the limits of the bench; only such entries are chosen.
        verdict: why it was or was not chosen.
    """

    file: _Text
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    device: Device
    threads: int | None = Field(ge=1)
    spinning: bool
    engine: _Text
    batch: int = Field(ge=1)
    p50_ms: float = Field(ge=0)
    p99_ms: float = Field(ge=0)
    per_s: float = Field(gt=0)
    is_stable: bool
    is_usable: bool
    verdict: _Text

    @field_validator("file")
    @classmethod
    def _is_a_name(cls, file: str) -> str:
        if Path(file).name != file or file in ("", ".."):
            raise ValueError(f"{file!r} is not a file name")
        return file


class Best(_Frozen):
    """Content of best.json.

    Attributes:
        goal: what the order follows.
        latency_budget_ms: limit of p99; None: there was none.
        max_accuracy_drop: in points; None: there was none.
        measured: time in UTC.
        version: of this project.
        is_quick: whether the windows were those of --quick.
        fingerprint: of the machine.
        uses: entries by use, best first.
        skipped: what was not measured, and why.
    """

    format: Literal["fer-best-1"] = "fer-best-1"
    goal: Goal
    latency_budget_ms: float | None
    max_accuracy_drop: float | None
    measured: _Text
    version: _Text
    is_quick: bool
    fingerprint: Fingerprint
    uses: dict[Use, tuple[Entry, ...]]
    skipped: tuple[tuple[_Text, _Text], ...] = ()

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return (self.model_dump_json(indent=2) + "\n").encode()


class Chosen(NamedTuple):
    """The artifact to open, its settings, and a line for people about the choice."""

    path: Path
    device: Device
    threads: int | None
    spinning: bool
    line: str


def fix_of(folder: Path) -> str:
    """Return the command that measures a folder, as text after "Fix:"."""
    return f"fer-deploy bench {shlex.quote(os.fspath(folder))}"


def read_best(path: Path, folder: Path) -> Best:
    """Read a file with the content of `Best.to_bytes`; `folder` is what it is about.

    Raises:
        ArtifactError: the file or the folder is missing, or it is not one that this version reads.
    """
    if not folder.is_dir():
        fix = f"fer-deploy export --checkpoint CHECKPOINT --out {shlex.quote(os.fspath(folder))}"
        raise ArtifactError(f"no folder {folder}. Fix: {fix}")
    if not path.exists():
        raise ArtifactError(
            f"{folder} is a folder without {path.name}, so it is not known which of its models is the best here. "
            f"Fix: {fix_of(folder)}; or name one of its models"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BEST_BYTES + 1)
        if len(content) > MAX_BEST_BYTES:
            raise ArtifactError(f"{path} is larger than {MAX_BEST_BYTES:,} bytes. Fix: {fix_of(folder)}")
        return Best.model_validate_json(content)
    except OSError as err:
        raise ArtifactError(f"cannot read {path}: {err.strerror or err}. Fix: check its permissions") from err
    except ValidationError as err:
        faults = describe_faults(err, whole="file")
        raise ArtifactError(
            f"{path} is not a result of fer-deploy bench that this version reads ({faults}). Fix: {fix_of(folder)}"
        ) from err


def choose_best(folder: Path, *, device: Device = "auto", threads: int | None = None) -> Chosen:
    """Return the best artifact of a folder for this machine.

    If best.json was measured on another machine, or with another runtime, a warning says so once, and entries for a GPU
    or an OpenVINO that this machine lacks are passed over.

    Args:
        folder: of artifacts, with best.json.
        device: "auto", or only entries of this device.
        threads: 1 asks for the best with a worker on each core; None for the best alone; another number for the best
            alone with so many threads.

    Raises:
        ArtifactError: no usable best.json, or an artifact that is missing or not the measured one.
        ConfigError: nothing was measured on this device, or with so many threads.
    """
    best = read_best(folder / BEST_NAME, folder)
    here = Fingerprint.of_this_machine()
    entry, use = _entry_of(best, folder, device, threads, here)
    path = require_file(folder / entry.file, fix=f"{fix_of(folder)}, or copy {entry.file} there again")
    if file_sha256(path) != entry.sha256:
        raise ArtifactError(
            f"{path} is not the file that {BEST_NAME} measured: its SHA-256 differs. Fix: {fix_of(folder)}"
        )
    if use == "workers":  # with one thread a call, their number does not decide which model is the best
        here = here.model_copy(update={"cores": best.fingerprint.cores})
    differences = best.fingerprint.differences(here)
    if differences:
        _log.warning(
            "%s was measured on another machine or with other packages (%s), so another model may be faster here. "
            "Fix: %s",
            folder / BEST_NAME,
            "; ".join(differences),
            fix_of(folder),
        )
    line = f"best of {folder} for {best.goal} with {USES[use]}, measured {best.measured[:10]}"
    return Chosen(path, entry.device, entry.threads, entry.spinning, line)


def _entry_of(best: Best, folder: Path, device: Device, threads: int | None, here: Fingerprint) -> tuple[Entry, Use]:
    use: Use = "workers" if threads == 1 else "single"
    fits = [entry for entry in best.uses.get(use, ()) if device in ("auto", entry.device) and entry.is_usable]
    found = [entry for entry in fits if threads is None or entry.threads in (None, threads)]
    if found:
        return next((entry for entry in found if _can_run(entry, best.fingerprint, here)), found[0]), use
    if not any(entry.is_usable for entry in best.uses.get(use, ())):
        raise ArtifactError(
            f"nothing that {folder / BEST_NAME} lists holds its limits. Fix: {fix_of(folder)}, with wider limits"
        )
    wanted = f"device {device}" + (f" with {threads} threads" if threads not in (None, 1) and fits else "")
    measured = sorted({entry.device for entry in best.uses.get(use, ()) if entry.is_usable})
    raise ConfigError(
        f"{folder / BEST_NAME} has no model for {wanted}; it has some for device {', '.join(measured) or '(none)'}. "
        f"Fix: {argument('device', 'auto')}, or {fix_of(folder)}"
    )


def _can_run(entry: Entry, there: Fingerprint, here: Fingerprint) -> bool:
    """Return whether this machine has what an entry needs; the machine that measured it had it."""
    if entry.device == "cuda":
        return bool(here.gpus) or not there.gpus
    if entry.device == "openvino":
        return "openvino" in here.runtimes or "openvino" not in there.runtimes
    return True


def _versions() -> dict[str, str]:
    found = {}
    for name in RUNTIMES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _gpus(folder: Path = _GPUS) -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs that the driver lists, without asking it; empty on other systems."""
    found: list[str] = []
    for file in sorted(folder.glob("*/information")):
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            continue
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(found)


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
