"""Survey this machine: CPU, GPUs, packages, providers. Never raises and never initializes CUDA; failures are `notes`.

Versions come from package metadata. Only `survey` imports ONNX Runtime: no metadata lists its providers.
"""

import ctypes
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from fer_deploy.flavors import Flavor
from fer_deploy.privacy import telemetry

PACKAGES = (
    "fer-toolchain",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
    "onnx",
    "torch",
    "safetensors",
)
CPU_FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
)
"""CPU features that decide how fast a small network runs; the last three are Arm's."""
_DISTRIBUTIONS = {
    Flavor.TENSORRT: ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu13-bindings", "tensorrt-cu12-bindings"),
    Flavor.TENSORRT_RTX: ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
}
_SMI = ("nvidia-smi", "--query-gpu=name,compute_cap,memory.total,driver_version", "--format=csv,noheader,nounits")
_CPU_INFO = Path("/proc/cpuinfo")
_SMI_SECONDS = 20.0  # without persistence mode the driver is loaded first


DISTRIBUTION = "fer-toolchain"
EXTRAS = {
    "cpu": "ONNX Runtime: .onnx on the CPU",
    "gpu": "ONNX Runtime with CUDA, in place of cpu",
    "tensorrt": "plans of TensorRT, on NVIDIA GPUs",
    "tensorrt-rtx": "plans of TensorRT for RTX; built without a GPU",
    "openvino": ".onnx in OpenVINO on the CPU, beside cpu",
    "serve": "the web page of live --serve",
    "table": "Parquet files",
    "mqtt": "messages to a broker",
    "analyze": "fer-deploy analyze",
    "archive": "fer-deploy archive",
    "archive-s3": "fer-deploy archive on S3",
    "ray": "fer-deploy archive run --ray and fer-train sweep --ray",
    "train": "fer-train",
    "pretrained": "ImageNet weights to start training from",
    "faces": "weights of a face recognition network to start training from",
    "audit": "fer-train audit --predictions: label errors",
    "docs": "the documentation as a website: make docs",
    "export": "fer-deploy export, quantize and verify",
    "rebuild": "fer-deploy pack, rebuild and verify --load-io, without PyTorch",
    "triton": "fer-deploy triton",
    "dev": "tests and linters",
}
"""What each extra of the package brings."""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w,.-]+)\])?.*;.*extra == [\"'](?P<of>[\w-]+)[\"']")


@dataclass(frozen=True)
class Extra:
    """An extra of the package: what it brings, and which of its packages are missing; none where it is installed."""

    name: str
    brings: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU; `compute_capability` such as "9.0", `memory_bytes` its total memory."""

    name: str
    compute_capability: str
    memory_bytes: int


@dataclass(frozen=True)
class Host:
    """The facts that decide whether a plan runs on this machine.

    Attributes:
        os: `platform.system()` in lower case.
        machine: `platform.machine()`, such as "x86_64".
        tensorrt: exact version of each flavor that is installed.
        gpus: the GPUs that may run the plan; empty if there is none.
    """

    os: str
    machine: str
    tensorrt: Mapping[Flavor, str]
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True)
class Environment:
    """Result of `survey`.

    Attributes:
        packages: installed version by name.
        cuda: newest CUDA that the driver runs, or None.
        telemetry: "off", or "on" with the reason (`telemetry.state`).
        extras: of this package, installed or not.
    """

    host: Host
    platform: str
    python: str
    cpu: str
    num_cores: int
    cpu_features: tuple[str, ...]
    packages: Mapping[str, str]
    onnxruntime_providers: tuple[str, ...]
    driver: str | None
    cuda: str | None
    cuda_visible_devices: str | None
    telemetry: str
    extras: tuple[Extra, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def cores_in_words(self) -> str:
        """The number of cores with its noun."""
        return f"{self.num_cores} core{'s' if self.num_cores != 1 else ''}"


def read_host(gpus: tuple[Gpu, ...] = ()) -> Host:
    """Return the system, the installed TensorRT flavors and the given GPUs. Takes milliseconds."""
    versions = {flavor: version for flavor in Flavor if (version := _flavor_version(flavor)) is not None}
    return Host(platform.system().lower(), platform.machine(), versions, gpus)


def survey() -> Environment:
    """Return the state of this machine. Takes up to seconds: it runs nvidia-smi and imports ONNX Runtime."""
    notes: list[str] = []
    gpus, driver = _ask_nvidia_smi(notes)
    cpu, features = cpu_of_this_machine()
    return Environment(
        host=read_host(gpus),
        platform=platform.platform(),
        python=platform.python_version(),
        cpu=cpu,
        num_cores=_num_cores(),
        cpu_features=features,
        packages={name: version for name in PACKAGES if (version := _version(name)) is not None},
        onnxruntime_providers=_onnxruntime_providers(notes),
        driver=driver,
        cuda=_cuda_of_driver(),
        cuda_visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        telemetry=telemetry.state(),
        extras=_extras(notes),
        notes=tuple(notes),
    )


def cpu_of_this_machine(cpu_info: Path = _CPU_INFO) -> tuple[str, tuple[str, ...]]:
    """Return the CPU's name, "unknown" if the system does not tell it, and its features out of CPU_FEATURES."""
    cpu, features = _read_cpuinfo(cpu_info)
    return cpu or platform.processor() or "unknown", features


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _extras(notes: list[str]) -> tuple[Extra, ...]:
    """Return every extra of the installed package; nothing where its metadata are absent, as in a bare checkout."""
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        notes.append(f"{DISTRIBUTION} is not installed as a package, so its extras are not known")
        return ()
    return tuple(Extra(name, brings, missing_of_extra(name, requirements)) for name, brings in EXTRAS.items())


def missing_of_extra(extra: str, requirements: Sequence[str]) -> tuple[str, ...]:
    """Return the packages of an extra that are not installed, in alphabetical order; versions are not compared.

    Args:
        extra: its name.
        requirements: of the package, as its metadata hold them: `pyarrow>=18; extra == "table"`.
    """
    missing: set[str] = set()
    for requirement in map(_REQUIREMENT.match, requirements):
        if requirement is None or requirement["of"] != extra:
            continue
        if requirement["name"] == DISTRIBUTION:  # an extra that includes others
            for other in requirement["extras"].split(","):
                missing |= set(missing_of_extra(other, requirements))
        elif _version(requirement["name"]) is None:
            missing.add(requirement["name"])
    return tuple(sorted(missing))


def _flavor_version(flavor: Flavor) -> str | None:
    """Return the version of an importable flavor from its metadata, or else from the imported module."""
    if find_spec(flavor.module) is None:
        return None
    for name in _DISTRIBUTIONS[flavor]:
        if (version := _version(name)) is not None:
            return version
    try:
        return str(import_module(flavor.module).__version__)
    except Exception:  # noqa: BLE001 - a broken installation must not break the survey
        return None


def _ask_nvidia_smi(notes: list[str]) -> tuple[tuple[Gpu, ...], str | None]:
    """Return the GPUs and the driver's version. nvidia-smi ignores CUDA_VISIBLE_DEVICES."""
    try:
        done = subprocess.run(_SMI, capture_output=True, text=True, timeout=_SMI_SECONDS, check=False)
    except FileNotFoundError:
        notes.append("nvidia-smi is not there: no NVIDIA driver, or a container started without the driver's tools")
        return (), None
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as err:
        notes.append(f"nvidia-smi failed: {err}")
        return (), None
    gpus, driver = [], None
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        try:
            name, capability, mebibytes, driver = (part.strip() for part in line.rsplit(",", 3))
            gpus.append(Gpu(name, capability, int(mebibytes) * 2**20 if mebibytes.isdecimal() else 0))
        except ValueError:
            notes.append(f"nvidia-smi answered {line!r}, expected name, compute capability, memory and driver")
    if not gpus:
        said = (done.stderr + done.stdout).strip().splitlines()
        notes.append(f"nvidia-smi lists no GPU (exit code {done.returncode}): {said[0] if said else 'no output'}")
    return tuple(gpus), driver


def _cuda_of_driver() -> str | None:
    """Return the newest CUDA that the driver supports, such as "13.0". `cuDriverGetVersion` needs no initialization."""
    version = ctypes.c_int(0)
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else f"{version.value // 1000}.{version.value % 1000 // 10}"


def _onnxruntime_providers(notes: list[str]) -> tuple[str, ...]:
    if find_spec("onnxruntime") is None:
        return ()
    try:
        providers = tuple(import_module("onnxruntime").get_available_providers())
        telemetry.switch_off_in_process()
        return providers
    except Exception as err:  # noqa: BLE001 - a broken installation must not break the survey
        notes.append(f"onnxruntime is installed, and its import fails: {err}")
        return ()


def _read_cpuinfo(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the CPU's name and its features out of CPU_FEATURES; empty if the file is missing."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "", ()
    values: dict[str, str] = {}
    for key, _, value in (line.partition(":") for line in lines):
        values.setdefault(key.strip().lower(), value.strip())
    flags = set(values.get("flags", values.get("features", "")).split())
    return values.get("model name", ""), tuple(name for name in CPU_FEATURES if name in flags)


def _num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
