"""fer-deploy doctor: show what is installed, which engines run here, and how to make the others run."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.console import Console
from rich.table import Table

from fer_deploy import __version__
from fer_deploy.artifacts import Family
from fer_deploy.environment import DISTRIBUTION, Environment, survey
from fer_deploy.flavors import Flavor

if TYPE_CHECKING:
    from fer_deploy.engines.bundled_best import BundledBest

_RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
"""Of `ComputeCapability` in tensorrt-rtx 1.7.1: neither Hopper (9.0) nor the data-center Blackwells (10.x)."""
_NO_GPU = "no NVIDIA GPU"
_FIX_GPU = "run it where nvidia-smi lists a GPU; in a container: docker run --gpus all"
_FIX_OPENCV = "pip install 'fer-toolchain[cpu]'; where a .so is missing: apt-get install libgl1 libglib2.0-0 libxcb1"
_FIX_ORT = "pip install 'fer-toolchain[cpu]'"
_FIX_ORT_CUDA = "pip uninstall onnxruntime; pip install 'fer-toolchain[gpu]'"


@dataclass(frozen=True)
class Ability:
    """One ability of fer-deploy, and whether it works here; `why` and `fix` are empty if it does."""

    name: str
    works: bool
    why: str = ""
    fix: str = ""


def doctor(as_json: bool) -> None:
    """Show what is on this machine and which engines run on it."""
    environment = survey()
    yunet = find_yunet()
    abilities = [*find_abilities(environment), yunet_ability(yunet), window_ability()]
    if as_json:
        content = {
            "fer_deploy": __version__,
            **asdict(environment),
            "yunet": str(yunet) if isinstance(yunet, Path) else None,
            "bundled_models": bundled_models(),
            "abilities": [asdict(one) for one in abilities],
        }
        click.echo(json.dumps(content, indent=2))
        return
    console = Console(highlight=False, markup=False)
    console.print(_facts(environment, yunet))
    console.print(_verdicts(abilities))
    if environment.extras:
        console.print(_extras(environment))
        console.print(f"to install an extra: pip install '{DISTRIBUTION}[NAME]'")
    for note in environment.notes:
        console.print(f"note: {note}")


def bundled_models() -> dict[str, str]:
    """Return what each family of bundled models opens here, and why, by family."""
    try:
        best = import_module("fer_deploy.engines.bundled_best")
    except ImportError as err:
        return {"unknown": str(err)}
    return {family: _in_words(best.bundled_best(family), best.FIX) for family in get_args(Family)}


def _in_words(found: "BundledBest", fix: str) -> str:
    if found.chosen is not None:
        return f"{found.chosen.path.name}, {found.chosen.line}"
    if found.why_not:
        return f"INT8 or FP16, by the kind of CPU; an outdated measurement is ignored: {found.why_not}. Fix: {fix}"
    return f"INT8 or FP16, by the kind of CPU; {fix} measures which is faster here"


def find_yunet() -> Path | str | None:
    """Return YuNet's file, None if it is absent, or text that says why this is unknown. Downloads nothing."""
    found = _of_opencv("fer_deploy.detectors.yunet_file", "file_at_hand")
    return found if isinstance(found, str) else found()


def yunet_ability(yunet: Path | str | None) -> Ability:
    """Return whether YuNet, which finds turned and small faces, is available."""
    name = "turned and small faces"
    if isinstance(yunet, str):
        return Ability(name, False, yunet, _FIX_OPENCV)
    if yunet is None:
        fix = "fer-deploy live --detector yunet fetches it once, 230 kB; or FER_YUNET=FILE"
        return Ability(name, False, "YuNet's file is not here, and Haar finds frontal faces only", fix)
    if not yunet.is_file():
        return Ability(name, False, f"FER_YUNET names no file: {yunet}", "unset FER_YUNET, or set it to YuNet's file")
    return Ability(name, True)


def window_ability() -> Ability:
    """Return whether `live` can open a window here."""
    name = "a window"
    why_no_screen = _of_opencv("fer_deploy.live.sinks.window", "why_no_screen")
    if isinstance(why_no_screen, str):
        return Ability(name, False, why_no_screen, _FIX_OPENCV)
    reason = why_no_screen()
    if reason is None:
        return Ability(name, True)
    return Ability(name, False, reason, "fer-deploy live --serve 8080 shows the picture in a browser")


def _of_opencv(module: str, name: str) -> Callable[[], Any] | str:
    """Return a function of a module that imports OpenCV, or why it cannot be imported."""
    try:
        function: Callable[[], Any] = getattr(import_module(module), name)
        return function
    except ImportError as err:
        return f"OpenCV cannot be imported: {err}"


def find_abilities(environment: Environment) -> list[Ability]:
    """Return what works here, what does not, and why. Inspects the packages and opens no engine."""
    return [
        _onnx_on_cpu(environment),
        _onnx_on_cuda(environment),
        _onnx_in_openvino(environment),
        _plan(environment, Flavor.TENSORRT),
        _plan(environment, Flavor.TENSORRT_RTX),
        _build(environment),
        _export(environment),
    ]


def _onnx_on_cpu(environment: Environment) -> Ability:
    if "CPUExecutionProvider" in environment.onnxruntime_providers:
        return Ability(".onnx on the CPU", True)
    return Ability(".onnx on the CPU", False, "ONNX Runtime is not installed", _FIX_ORT)


def _onnx_on_cuda(environment: Environment) -> Ability:
    name = ".onnx on CUDA"
    if not environment.host.gpus:
        return Ability(name, False, _NO_GPU, _FIX_GPU)
    if "CUDAExecutionProvider" not in environment.onnxruntime_providers:
        offered = ", ".join(environment.onnxruntime_providers) or "nothing"
        return Ability(name, False, f"ONNX Runtime offers {offered}", _FIX_ORT_CUDA)
    return Ability(name, True)


def _onnx_in_openvino(environment: Environment) -> Ability:
    name = ".onnx in OpenVINO"
    if "CPUExecutionProvider" not in environment.onnxruntime_providers:
        return Ability(name, False, "ONNX Runtime, which checks the files, is not installed", _FIX_ORT)
    if "openvino" not in environment.packages:
        return Ability(name, False, "OpenVINO is not installed", "pip install 'fer-toolchain[openvino]'")
    return Ability(name, True)


def _plan(environment: Environment, flavor: Flavor) -> Ability:
    name = f".plan of {flavor.display_name}"
    if not environment.host.gpus:
        return Ability(name, False, _NO_GPU, _FIX_GPU)
    if flavor is Flavor.TENSORRT_RTX:
        found = [gpu.compute_capability for gpu in environment.host.gpus]
        if not set(found) & set(_RTX_CAPABILITIES):
            return Ability(name, False, f"it does not support sm_{found[0].replace('.', '')}", "use TensorRT instead")
    missing = [] if flavor in environment.host.tensorrt else [flavor.display_name]
    if "cuda-bindings" not in environment.packages:
        missing.append("cuda-bindings")
    if missing:
        fix = f"pip install 'fer-toolchain[{flavor.extra}]'"
        return Ability(name, False, f"{' and '.join(missing)} not installed", fix)
    return Ability(name, True)


def _build(environment: Environment) -> Ability:
    host = environment.host
    if Flavor.TENSORRT_RTX in host.tensorrt or (Flavor.TENSORRT in host.tensorrt and host.gpus):
        return Ability("build of plans", True)
    why = "TensorRT builds on a GPU only" if host.tensorrt else "no TensorRT is installed"
    return Ability("build of plans", False, why, "pip install 'fer-toolchain[tensorrt-rtx]' builds without a GPU")


def _export(environment: Environment) -> Ability:
    missing = [name for name in ("torch", "onnx", "safetensors") if name not in environment.packages]
    if not missing:
        return Ability("export of checkpoints", True)
    return Ability(
        "export of checkpoints", False, f"{', '.join(missing)} not installed", "pip install 'fer-toolchain[export,cpu]'"
    )


def _facts(environment: Environment, yunet: Path | str | None) -> Table:
    table = Table(show_header=False, box=None, title=f"fer-deploy {__version__}", title_justify="left")
    host = environment.host
    features = ", ".join(environment.cpu_features) or "no features known"
    rows = {
        "system": environment.platform,
        "Python": environment.python,
        "CPU": f"{environment.cpu}, {environment.cores_in_words}; {features}",
        "GPU": "\n".join(
            f"{gpu.name}, sm_{gpu.compute_capability.replace('.', '')}, {gpu.memory_bytes / 2**30:.1f} GiB"
            for gpu in host.gpus
        )
        or "none",
        "driver": f"{environment.driver or 'none'}, CUDA {environment.cuda or 'none'}",
        "CUDA_VISIBLE_DEVICES": environment.cuda_visible_devices,
        "TensorRT": ", ".join(f"{flavor.display_name} {version}" for flavor, version in host.tensorrt.items())
        or "none",
        "ONNX Runtime": ", ".join(environment.onnxruntime_providers) or "none",
        "face detector": f"YuNet ({yunet})" if isinstance(yunet, Path) else "Haar, for frontal faces",
        "bundled models": "\n".join(f"--model {family}: {text}" for family, text in bundled_models().items()),
        "telemetry": f"{environment.telemetry} (ONNX Runtime and OpenVINO; fer-deploy sends nothing itself)",
        "packages": ", ".join(f"{name} {version}" for name, version in environment.packages.items()) or "none",
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, value)
    return table


def _verdicts(abilities: list[Ability]) -> Table:
    table = Table(title="what works here", title_justify="left")
    for column in ("", "works", "why not, and what changes it"):
        table.add_column(column)
    for ability in abilities:
        table.add_row(ability.name, "yes" if ability.works else "no", f"{ability.why}\n{ability.fix}".strip())
    return table


def _extras(environment: Environment) -> Table:
    table = Table(title=f"extras of {DISTRIBUTION}", title_justify="left")
    for column in ("", "installed", "brings"):
        table.add_column(column)
    for extra in environment.extras:
        table.add_row(extra.name, "no" if extra.missing else "yes", extra.brings)
    return table
