"""Engine of a model on a Triton Inference Server, over gRPC. The server gathers the faces of many clients."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.engines.triton.served import Served, served_model
from fer_deploy.errors import ConfigError, EngineError
from fer_deploy.spec import OUTPUT_NAME

_log = logging.getLogger(__name__)
T = TypeVar("T")

CALL_LIMIT_S: Final = 10.0
"""Time limit of one request; a server that needs longer is asked again."""
OPEN_LIMIT_S: Final = 5.0
"""Time that the server may take to answer when the engine is opened."""
AWAY_LIMIT_S: Final = 60.0
"""Time that a server may be away, as when it is restarted, until a call fails."""
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5)
"""Between two tries; the last one repeats."""
_AWAY: Final = frozenset({"StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.NOT_FOUND"})
"""Answers of a server that is down, starts, or loads the model again."""
_CHANNEL: Final = [
    ("grpc.use_local_subchannel_pool", 1),  # else a new connection waits for the pause of an older one
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


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
        self._address, self._served, self._away_limit_s = address, served, away_limit_s
        self._idle: list[Any] = [client]
        self._closed = threading.Event()

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
        client = _connect(address)
        try:
            served = served_model(client, address, limit_s=OPEN_LIMIT_S)
        except InferenceServerException as err:
            client.close()
            raise EngineError(f"{address} cannot be used: {_reason(err)}. Fix: {_fix_to_open(err, address)}") from err
        except Exception:
            client.close()
            raise
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
        return np.concatenate([self._with_client(partial(self._ask, images_nchw=part)) for part in parts])

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

    def _with_client(self, call: Callable[[Any], T]) -> T:
        """Return what a call gives with a connection that no other thread uses; wait for a server that is away."""
        client = self._take_client()
        try:
            return call(client)
        except InferenceServerException as err:
            if str(err.status()) not in _AWAY:
                raise EngineError(f"{self.description} refused a batch: {_reason(err)}") from err
            return self._call_when_back(client, call, err)
        finally:
            self._idle.append(client)

    def _take_client(self) -> Any:
        if self._closed.is_set():
            raise EngineError(f"{self.description} is closed. Fix: open it again with open_engine")
        try:
            return self._idle.pop()
        except IndexError:
            return _connect(self._address)

    def _call_when_back(self, client: Any, call: Callable[[Any], T], first: InferenceServerException) -> T:
        started, tries, err = time.monotonic(), 0, first
        _log.warning("%s is away (%s); waiting for it, up to %g s", self._address, _reason(err), self._away_limit_s)
        while time.monotonic() - started < self._away_limit_s:
            if self._closed.wait(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)]):
                break
            tries += 1
            try:
                self._require_same(client)
                answer = call(client)
            except InferenceServerException as again:
                err = again
                if str(err.status()) not in _AWAY:
                    raise EngineError(f"{self.description} refused a batch: {_reason(err)}") from err
                continue
            _log.warning("%s is back after %.1f s", self._address, time.monotonic() - started)
            return answer
        raise EngineError(
            f"{self._address} has been away for {time.monotonic() - started:.0f} s: {_reason(err)}. "
            f"Fix: start its server again; the same command goes on"
        ) from err

    def _require_same(self, client: Any) -> None:
        now = served_model(client, self._address, limit_s=OPEN_LIMIT_S)
        if (now.sha256, now.spec) != (self._served.sha256, self._served.spec):
            raise EngineError(
                f"{self._address} came back with another model: sha256 {now.sha256[:12]}..., before "
                f"{self._served.sha256[:12]}.... Fix: start this program again to use the new one"
            )

    def close(self) -> None:
        """Close the connections; a call that waits for the server fails."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()


def _connect(address: TritonAddress) -> Any:
    return triton.InferenceServerClient(address.url, ssl=address.is_encrypted, channel_args=list(_CHANNEL))


def _reason(err: InferenceServerException) -> str:
    return f"{err.message() or 'no reason given'}".strip().splitlines()[0][:300].rstrip(".")


def _fix_to_open(err: InferenceServerException, address: TritonAddress) -> str:
    said = str(err.message()).lower()
    if "failed to connect" in said or "deadline" in said:
        return f"start tritonserver, and check that {address.url} is its gRPC port"
    return f"check the name: curl -X POST http://{address.host}:8000/v2/repository/index lists the server's models"
