"""Engine of a model on a Triton Inference Server, over gRPC. The server gathers the faces of many clients."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray

from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.engines.triton.connection import (
    AWAY_LIMIT_S,
    CALL_LIMIT_S,
    OPEN_LIMIT_S,
    TritonConnection,
    connected,
)
from fer_deploy.engines.triton.served import Served, served_model
from fer_deploy.errors import ConfigError, EngineError
from fer_deploy.spec import OUTPUT_NAME


class TritonEngine(Engine):
    """Classifies on a server. Several threads may call `infer`; each has a connection of its own.

    A server that is restarted is waited for. Afterwards the model must be the same, or the call fails.
    """

    is_concurrent = True

    def __init__(self, address: TritonAddress, served: Served, client: Any, *, away_limit_s: float) -> None:
        """Create an engine of an answered server; see `open`."""
        version = f" version {served.version}" if served.version else ""
        super().__init__(
            served.spec, f"Triton {served.server_version} at {address.url}, {address.model}{version}, {served.backend}"
        )
        self._address, self._served = address, served
        self._connection = TritonConnection(
            address,
            client,
            description=self.description,
            require_same=self._require_same,
            away_limit_s=away_limit_s,
        )

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto", away_limit_s: float = AWAY_LIMIT_S) -> Self:
        """Connect to the server and read the contract of its model.

        Args:
            path: the address, `triton://host:8001/model` or `triton://host:8001/model/version`; `tritons://` for TLS.
            device: "auto": the server decides where its model runs.
            away_limit_s: seconds that the server may be away later until a call fails.

        Raises:
            ConfigError: not an address, or another device.
            EngineError: no answer, or the server does not have the model.
            ArtifactError: the model has no ModelSpec, so no `fer-deploy triton` wrote it.
        """
        address = TritonAddress.parse(path)
        if device != "auto":
            raise ConfigError(
                f"device is {device}, but {address} runs where its server decides. Fix: device auto, and "
                f"fer-deploy triton --device {device} for the server's repository"
            )
        client, served = connected(address, lambda client: served_model(client, address, limit_s=OPEN_LIMIT_S))
        return cls(address, served, client, away_limit_s=away_limit_s)

    @property
    def settings(self) -> Mapping[str, str]:
        """Address, model and largest batch, for reports."""
        return MappingProxyType(
            {
                "address": str(self._address),
                "model_sha256": self._served.sha256,
                "max_batch": str(self._served.max_batch),
            }
        )

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        most = self._served.max_batch
        parts = [images_nchw[start : start + most] for start in range(0, len(images_nchw), most)]
        return np.concatenate([self._connection.call(partial(self._ask, images_nchw=part)) for part in parts])

    def _ask(self, client: Any, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = triton.InferInput(self.spec.input.name, list(images_nchw.shape), "UINT8")
        images.set_data_from_numpy(images_nchw)
        answer = client.infer(
            self._address.model,
            [images],
            model_version=self._address.version,
            outputs=[triton.InferRequestedOutput(OUTPUT_NAME)],
            client_timeout=CALL_LIMIT_S,
        )
        logits = np.array(answer.as_numpy(OUTPUT_NAME), dtype=np.float32)
        wanted = (len(images_nchw), len(self.spec.labels))
        if logits.shape != wanted:
            raise EngineError(f"{self.description} gave logits of shape {logits.shape}, expected {wanted}")
        return logits

    def _require_same(self, client: Any) -> None:
        now = served_model(client, self._address, limit_s=OPEN_LIMIT_S)
        if (now.sha256, now.spec) != (self._served.sha256, self._served.spec):
            raise EngineError(
                f"{self._address} came back with another model: sha256 {now.sha256[:12]}..., before "
                f"{self._served.sha256[:12]}.... Fix: start this program again to use the new one"
            )

    def close(self) -> None:
        """Close the connections; a call that waits for the server fails."""
        self._connection.close()
