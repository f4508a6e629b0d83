"""Served: what a server tells about a model, compared with its ModelSpec."""

from dataclasses import dataclass
from typing import Any

from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.errors import ArtifactError
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, spec_from_json

SHA256_KEY = "fer_artifact_sha256"
"""Parameter with the digest of the model file; it marks a model folder as written by `fer-deploy triton`."""


@dataclass(frozen=True)
class Served:
    """A model on a server.

    Attributes:
        spec: ModelSpec, out of the model's configuration.
        sha256: hex digest of the model file; empty if the configuration has none.
        max_batch: largest batch of one request, in images.
        version: of the model that answers; empty if the server chooses.
        backend: name of the server's backend.
        server_version: of Triton.
    """

    spec: ModelSpec
    sha256: str
    max_batch: int
    version: str
    backend: str
    server_version: str


def served_model(client: Any, address: TritonAddress, *, limit_s: float) -> Served:
    """Ask a server for its model.

    Args:
        client: `tritonclient.grpc.InferenceServerClient`.
        address: of the model.
        limit_s: time limit of each question.

    Raises:
        ArtifactError: the model has no ModelSpec, or other inputs and outputs than it promises.
        InferenceServerException: no answer, or the server does not have the model.
    """
    server = client.get_server_metadata(client_timeout=limit_s)
    config = client.get_model_config(address.model, address.version, client_timeout=limit_s).config
    if SPEC_KEY not in config.parameters:
        raise ArtifactError(
            f"cannot use {address}: its configuration has no ModelSpec, so its labels and input are unknown. "
            "Fix: write the server's repository with fer-deploy triton --engine FILE --out REPOSITORY"
        )
    spec = spec_from_json(config.parameters[SPEC_KEY].string_value, where=str(address))
    found = [_tensor(tensor) for tensor in (*config.input, *config.output)]
    image = [spec.input.channels, spec.input.height, spec.input.width]
    wanted = [(spec.input.name, "TYPE_UINT8", image), (OUTPUT_NAME, "TYPE_FP32", [len(spec.labels)])]
    if found != wanted:
        raise ArtifactError(
            f"cannot use {address}: it has {str(found)[:500]}, its ModelSpec promises {wanted}. "
            "Fix: write the server's repository again with fer-deploy triton"
        )
    return Served(
        spec,
        config.parameters[SHA256_KEY].string_value if SHA256_KEY in config.parameters else "",
        max(1, config.max_batch_size),
        address.version,
        config.backend or config.platform,
        server.version,
    )


def _tensor(tensor: Any) -> tuple[str, str, list[int]]:
    return tensor.name, data_type(tensor), list(tensor.dims)


def data_type(tensor: Any) -> str:
    """Return Triton's name of a tensor's type, such as TYPE_UINT8; `tensor` is of a model's configuration."""
    name: str = tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[tensor.data_type].name
    return name
