"""Network of a model on a Triton Inference Server, such as a face detector: named tensors over gRPC."""

from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import tritonclient.grpc as triton

from fer_deploy.engines.network import Network, TensorInfo, Tensors
from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.engines.triton.connection import CALL_LIMIT_S, OPEN_LIMIT_S, TritonConnection, connected
from fer_deploy.engines.triton.served import SHA256_KEY, data_type
from fer_deploy.errors import EngineError

_DTYPES: Final = {
    "TYPE_UINT8": "uint8",
    "TYPE_FP32": "float32",
    "TYPE_FP16": "float16",
    "TYPE_INT64": "int64",
}
_WIRE: Final = {"uint8": "UINT8", "float32": "FP32", "float16": "FP16", "int64": "INT64"}


class _Contract(NamedTuple):
    """What a server tells about a model.

    Attributes:
        inputs, outputs: by name.
        sha256: hex digest of the model file; empty if the configuration has none.
        description: of server, model and backend.
    """

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    sha256: str
    description: str


class TritonNetwork(Network):
    """A network on a server. A server that is restarted is waited for; then the model must be the same."""

    def __init__(self, address: TritonAddress, contract: _Contract, client: Any) -> None:
        """Create a network of an answered server; see `open`."""
        super().__init__(contract.description, contract.inputs, contract.outputs)
        self._address, self._contract = address, contract
        self._connection = TritonConnection(
            address, client, description=contract.description, require_same=self._require_same
        )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Connect to the server and read the names and shapes of the model's tensors.

        Args:
            path: the address, `triton://host:8001/model` or `triton://host:8001/model/version`; `tritons://` for TLS.

        Raises:
            ConfigError: not an address.
            EngineError: no answer, or the server does not have the model.
        """
        address = TritonAddress.parse(path)
        client, contract = connected(address, partial(_contract, address=address))
        return cls(address, contract, client)

    @property
    def sha256(self) -> str:
        """Hex digest of the model file; empty if the server does not tell."""
        return self._contract.sha256

    def run(self, tensors: Tensors) -> Tensors:
        """Return all outputs; callable from several threads at once."""
        return self._connection.call(partial(self._ask, tensors=tensors))

    def close(self) -> None:
        """Close the connections; a call that waits for the server fails."""
        self._connection.close()

    def _ask(self, client: Any, tensors: Tensors) -> Tensors:
        given = []
        for name, values in tensors.items():
            given.append(triton.InferInput(name, list(values.shape), _WIRE[str(values.dtype)]))
            given[-1].set_data_from_numpy(values)
        answer = client.infer(
            self._address.model,
            given,
            model_version=self._address.version,
            outputs=[triton.InferRequestedOutput(name) for name in self.outputs],
            client_timeout=CALL_LIMIT_S,
        )
        return {name: np.asarray(answer.as_numpy(name)) for name in self.outputs}

    def _require_same(self, client: Any) -> None:
        now = _contract(client, address=self._address)
        if now[:3] != self._contract[:3]:
            raise EngineError(
                f"{self._address} came back with another model: sha256 {now.sha256[:12]}..., before "
                f"{self.sha256[:12]}.... Fix: start this program again to use the new one"
            )


def _contract(client: Any, *, address: TritonAddress) -> _Contract:
    server = client.get_server_metadata(client_timeout=OPEN_LIMIT_S)
    config = client.get_model_config(address.model, address.version, client_timeout=OPEN_LIMIT_S).config
    batch = (None,) if config.max_batch_size else ()
    parameters = config.parameters
    return _Contract(
        {tensor.name: _info(tensor, batch) for tensor in config.input},
        {tensor.name: _info(tensor, batch) for tensor in config.output},
        parameters[SHA256_KEY].string_value if SHA256_KEY in parameters else "",
        f"Triton {server.version} at {address.url}, {address.model}, {config.backend or config.platform}",
    )


def _info(tensor: Any, batch: tuple[None, ...]) -> TensorInfo:
    kind = data_type(tensor)
    return TensorInfo(_DTYPES.get(kind, kind), (*batch, *(None if size < 0 else int(size) for size in tensor.dims)))


def served_sha256(path: Path) -> str:
    """Return the hex digest of a served network's file, or the address if its server does not tell.

    Raises:
        ConfigError, EngineError: as `TritonNetwork.open`.
    """
    network = TritonNetwork.open(path)
    try:
        return network.sha256 or str(TritonAddress.parse(path))
    finally:
        network.close()
