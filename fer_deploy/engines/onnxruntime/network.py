"""Network in ONNX Runtime: the same session as for emotion engines, without ModelSpec."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import onnxruntime as ort

from fer_deploy.engines.base import Device
from fer_deploy.engines.network import Network, TensorInfo, Tensors
from fer_deploy.engines.onnxruntime.session import ORT_ERRORS, ProvedSession, SessionRequest, open_session
from fer_deploy.errors import EngineError

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int64)": "int64"}


class OnnxRuntimeNetwork(Network):
    """A network with one session, which any number of threads may run."""

    def __init__(self, opened: ProvedSession) -> None:
        session = opened.session
        inputs, outputs = _infos(session.get_inputs()), _infos(session.get_outputs())
        super().__init__(f"ONNX Runtime {ort.__version__}, {opened.provider}", inputs, outputs)
        self._session, self._names = session, list(outputs)

    @classmethod
    def open(
        cls, path: Path, *, device: Device, threads: int, fix: str, rewrite: Callable[[bytes], bytes] | None = None
    ) -> Self:
        """Load `path`; see `fer_deploy.engines.network.open_network` for arguments and errors."""
        return cls(
            open_session(
                path, SessionRequest(device, threads, cuda_graph=False, all_known=False, rewrite=rewrite), fix=fix
            )
        )

    def run(self, tensors: Tensors) -> Tensors:
        """Return all outputs; callable from several threads at once."""
        try:
            return dict(zip(self._names, self._session.run(self._names, tensors), strict=True))
        except (*ORT_ERRORS, RuntimeError, ValueError) as err:  # ValueError: a missing input
            raise EngineError(f"{self.description} failed: {err}") from err


def _infos(tensors: Sequence[Any]) -> dict[str, TensorInfo]:
    return {
        tensor.name: TensorInfo(
            _DTYPES.get(tensor.type, tensor.type),
            tuple(size if isinstance(size, int) else None for size in tensor.shape),
        )
        for tensor in tensors
    }
