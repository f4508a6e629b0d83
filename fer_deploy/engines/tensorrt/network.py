"""Network in TensorRT, of both flavors, such as a face detector. `admission` checks plans before loading."""

import threading
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from fer_deploy.engines.base import Device
from fer_deploy.engines.network import Network, TensorInfo, Tensors
from fer_deploy.engines.tensorrt.admission import AdmittedPlan, admit, require_cuda
from fer_deploy.engines.tensorrt.loading import load
from fer_deploy.engines.tensorrt.network_runner import NetworkRunner
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.manifest import NetworkContract, read_network_manifest, shape_text

_FREE = -1
"""TensorRT's value of a variable size."""
_Tensors = dict[str, tuple[Any, Any, tuple[int, ...]]]
"""Mode, type and shape by name."""
_PATIENCE_S = 5.0
"""Time that freeing waits for a running call; a call that hangs must not block the program's end."""


class TensorRTNetwork(Network):
    """Runs a plan on CUDA device 0. `run` may be called from several threads, which take turns.

    GPU resources are freed by `close`, with the last reference, or at the program's end.
    """

    def __init__(
        self, runner: NetworkRunner, resources: ExitStack, contract: NetworkContract, description: str
    ) -> None:
        """Create a network; it closes `resources`, which free the runner and the engine's memory."""
        super().__init__(
            description,
            {
                name: TensorInfo(wanted.dtype, wanted.shape, wanted.min, wanted.max)
                for name, wanted in contract.inputs.items()
            },
            {name: TensorInfo(wanted.dtype, wanted.shape) for name, wanted in contract.outputs.items()},
        )
        self._runner = runner
        self._turn = threading.Lock()
        self._free = weakref.finalize(self, _free, self._turn, resources)

    @classmethod
    def open(cls, path: Path, *, device: Device) -> Self:
        """Check, load and warm up; see `fer_deploy.engines.network.open_network` for arguments and errors."""
        require_cuda(path, device)
        manifest = read_network_manifest(path)
        return cls._load(admit(path, manifest), manifest.network)

    @classmethod
    def _load(cls, plan: AdmittedPlan, contract: NetworkContract) -> Self:
        with ExitStack() as undo:
            loaded = load(plan, undo, is_captured=False)
            require_contract(loaded.trt, loaded.engine, contract, where=plan.path)
            undo.callback(loaded.keep_kernels)  # at the end, when the kernels of all used sizes are compiled
            runner = NetworkRunner(plan.cuda, loaded.new_context(), contract, loaded.log.take)
            undo.callback(runner.close)
            resources = undo.pop_all()
        return cls(runner, resources, contract, f"{loaded.description}, {contract.precision}")

    def run(self, tensors: Tensors) -> Tensors:
        """Return all outputs; callable from any thread, one at a time."""
        with self._turn:
            if not self._free.alive:
                raise EngineError(f"{self.description} is closed. Fix: open it again")
            return self._runner.run(tensors)

    def close(self) -> None:
        """Free context, buffers and engine after the running call; further calls do nothing."""
        self._free()


def _free(turn: threading.Lock, resources: ExitStack) -> None:
    if turn.acquire(timeout=_PATIENCE_S):
        try:
            resources.close()
        finally:
            turn.release()


def require_contract(trt: Any, engine: Any, contract: NetworkContract, *, where: Path) -> None:
    """Compare the engine's tensors and first profile with a network's contract.

    Raises:
        ArtifactError: the number, name, type, shape or profile of tensors differs from the contract.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    found = {
        name: (engine.get_tensor_mode(name), engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name)))
        for name in names
    }
    promised = _promised(trt, contract)
    is_kept = found.keys() == promised.keys() and all(
        found[name][:2] == promised[name][:2] and _agree(found[name][2], promised[name][2]) for name in found
    )
    if not is_kept:
        raise ArtifactError(
            f"cannot use {where}: it has {_words(found)}; its manifest promises {_words(promised)}. "
            "Fix: build it again with fer-deploy build"
        )
    for name, wanted in contract.inputs.items():
        if _FREE not in found[name][2]:
            continue  # a fixed shape, for which TensorRT has no profile
        profile = [tuple(shape) for shape in engine.get_tensor_profile_shape(name, 0)]
        if profile != [wanted.min, wanted.opt, wanted.max]:
            raise ArtifactError(
                f"cannot use {where}: it accepts {name} of {' '.join(map(shape_text, profile))} (min, opt, max), its "
                f"manifest promises {' '.join(map(shape_text, (wanted.min, wanted.opt, wanted.max)))}. "
                "Fix: build it again with fer-deploy build"
            )


def _promised(trt: Any, contract: NetworkContract) -> _Tensors:
    dtypes = {
        "float32": trt.DataType.FLOAT,
        "float16": trt.DataType.HALF,
        "uint8": trt.DataType.UINT8,
        "int32": trt.DataType.INT32,
        "int64": trt.DataType.INT64,
    }
    sides = ((trt.TensorIOMode.INPUT, contract.inputs), (trt.TensorIOMode.OUTPUT, contract.outputs))
    return {
        name: (mode, dtypes[wanted.dtype], tuple(_FREE if size is None else size for size in wanted.shape))
        for mode, tensors in sides
        for name, wanted in tensors.items()
    }


def _agree(found: tuple[int, ...], promised: tuple[int, ...]) -> bool:
    """Return whether sizes known on both sides are equal. The builder may know more sizes, or fewer."""
    return len(found) == len(promised) and all(
        mine == theirs or _FREE in (mine, theirs) for mine, theirs in zip(found, promised, strict=True)
    )


def _words(tensors: _Tensors) -> str:
    return ", ".join(
        f"{mode.name.lower()} {name}: {dtype.name.lower()} {shape}" for name, (mode, dtype, shape) in tensors.items()
    )
