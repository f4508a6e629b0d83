"""fer-deploy doctor: what is on this machine, which engines run, and which command makes the others run."""

import json
from dataclasses import asdict, dataclass

import click
from rich.console import Console
from rich.table import Table

from fer_deploy import __version__
from fer_deploy.environment import Environment, survey
from fer_deploy.flavors import Flavor

_RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
"""Of `ComputeCapability` in tensorrt-rtx 1.7.1: neither Hopper (9.0) nor the data-center Blackwells (10.x)."""
_NO_GPU = "no NVIDIA GPU"
_FIX_GPU = "run it where nvidia-smi lists a GPU; in a container: docker run --gpus all"
_FIX_ORT_CUDA = "pip uninstall onnxruntime; pip install 'fer-toolchain[gpu]'"


@dataclass(frozen=True)
class Ability:
    """Something that fer-deploy does, and whether it can here; `why` and `fix` are empty where it can."""

    name: str
    works: bool
    why: str = ""
    fix: str = ""


def doctor(as_json: bool) -> None:
    """Show what is on this machine and which engines run on it."""
    environment = survey()
    abilities = judge_abilities(environment)
    if as_json:
        content = {"fer_deploy": __version__, **asdict(environment), "abilities": [asdict(one) for one in abilities]}
        click.echo(json.dumps(content, indent=2))
        return
    console = Console(highlight=False, markup=False)
    console.print(_facts(environment))
    console.print(_verdicts(abilities))
    for note in environment.notes:
        console.print(f"note: {note}")


def judge_abilities(environment: Environment) -> list[Ability]:
    """Return what works here, what does not, and why; the packages are looked at, no engine is opened."""
    return [
        _onnx_on_cpu(environment),
        _onnx_on_cuda(environment),
        _plan(environment, Flavor.TENSORRT),
        _plan(environment, Flavor.TENSORRT_RTX),
        _build(environment),
        _export(environment),
    ]


def _onnx_on_cpu(environment: Environment) -> Ability:
    if "CPUExecutionProvider" in environment.onnxruntime_providers:
        return Ability(".onnx on the CPU", True)
    return Ability(".onnx on the CPU", False, "ONNX Runtime is not installed", "pip install 'fer-toolchain[cpu]'")


def _onnx_on_cuda(environment: Environment) -> Ability:
    name = ".onnx on CUDA"
    if not environment.host.gpus:
        return Ability(name, False, _NO_GPU, _FIX_GPU)
    if "CUDAExecutionProvider" not in environment.onnxruntime_providers:
        offered = ", ".join(environment.onnxruntime_providers) or "nothing"
        return Ability(name, False, f"ONNX Runtime offers {offered}", _FIX_ORT_CUDA)
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


def _facts(environment: Environment) -> Table:
    table = Table(show_header=False, box=None, title=f"fer-deploy {__version__}", title_justify="left")
    host = environment.host
    features = ", ".join(environment.cpu_features) or "no features known"
    rows = {
        "system": environment.platform,
        "Python": environment.python,
        "CPU": f"{environment.cpu}, {environment.num_cores} cores; {features}",
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
        "telemetry": f"{environment.telemetry} (ONNX Runtime; fer-deploy sends nothing itself)",
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
