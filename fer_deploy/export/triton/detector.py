"""Write YuNet as a model of a Triton repository: heads merged, bytes in, no batches. Needs the extra `triton`."""

import hashlib
from pathlib import Path
from typing import Any

from tritonclient.grpc import model_config_pb2 as pb

from fer_deploy import __version__
from fer_deploy.artifacts import read_model_file, require_file
from fer_deploy.detectors.yunet import check_yunet
from fer_deploy.detectors.yunet_bytes import taking_bytes
from fer_deploy.detectors.yunet_heads import merge_heads
from fer_deploy.engines.network import TensorInfo, open_network
from fer_deploy.engines.triton.served import SHA256_KEY
from fer_deploy.errors import ArtifactError
from fer_deploy.export.triton.config import KINDS, config_text
from fer_deploy.export.triton.model import TritonSettings, model_name

_FIX = "YuNet's .onnx, such as the one that fer-deploy live --detector yunet fetches"
_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}
_WARM_UP = (288, 480)
"""Height and width of the picture that runs before the first request."""


def write_detector(detector: Path, draft: Path, settings: TritonSettings) -> None:
    """Write a model folder: config.pbtxt and 1/model.onnx.

    Args:
        detector: YuNet's .onnx.
        draft: folder to create; its name becomes `model_name`.
        settings: batches and their sizes do not apply: frames differ in size.

    Raises:
        ArtifactError: it is not YuNet.
        ExportError: the configuration cannot be written.
    """
    if detector.suffix != ".onnx":
        raise ArtifactError(f"cannot serve {detector}: expected .onnx. Fix: {_FIX}")
    content = read_model_file(require_file(detector, fix=_FIX))
    model = draft / "1" / "model.onnx"
    served = taking_bytes(merge_heads(content), where=str(detector), fix=_FIX)
    model.parent.mkdir(parents=True)
    model.write_bytes(served)
    network = open_network(model, fix=_FIX)
    check_yunet(network, where=str(detector), fix=_FIX)
    config = pb.ModelConfig(
        name=model_name(detector),
        backend="onnxruntime",
        default_model_filename=model.name,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=1)),
        instance_group=[pb.ModelInstanceGroup(kind=KINDS[settings.device], count=settings.instances)],
    )
    for name, info in network.inputs.items():
        config.input.add(name=name, data_type=_TYPES[info.dtype], dims=_dims(info))
    for name, info in network.outputs.items():
        config.output.add(name=name, data_type=_TYPES[info.dtype], dims=_dims(info))
    if settings.warmup != "off":
        _add_warmup(config, *next(iter(network.inputs.items())), is_random=settings.warmup == "random")
    for key, value in {
        SHA256_KEY: hashlib.sha256(content).hexdigest(),  # of YuNet's file: the served one finds the same faces
        "fer_artifact": detector.name,
        "fer_deploy_version": __version__,
    }.items():
        config.parameters[key].string_value = value
    (draft / "config.pbtxt").write_text(config_text(config), encoding="utf-8")


def _dims(info: TensorInfo) -> list[int]:
    return [-1 if size is None else size for size in info.shape]


def _add_warmup(config: Any, name: str, image: TensorInfo, *, is_random: bool) -> None:
    data = config.model_warmup.add(name="a picture").inputs[name]
    data.data_type = pb.DataType.Value(_TYPES[image.dtype])
    data.dims.extend(size or wanted for size, wanted in zip(image.shape, (1, 3, *_WARM_UP), strict=True))
    if is_random:
        data.random_data = True
    else:
        data.zero_data = True
