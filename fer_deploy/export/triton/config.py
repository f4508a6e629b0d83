"""Build, print and read config.pbtxt as a message of Triton's own protobuf. Needs the extra `triton`."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from fer_deploy import __version__
from fer_deploy.engines.triton.served import SHA256_KEY
from fer_deploy.errors import ConfigError, ExportError
from fer_deploy.export.triton.model import Batching, Servable, TritonSettings
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, InputSpec

LABELS_FILE = "labels.txt"
KINDS = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "cuda": "KIND_GPU"}
_DTYPES = {"uint8": "TYPE_UINT8"}


def build_config(servable: Servable, batching: Batching, settings: TritonSettings) -> pb.ModelConfig:
    """Return the message; names, types, sizes and labels come from the ModelSpec.

    Raises:
        ConfigError: the artifact is a plan and the device is the CPU.
    """
    images, is_plan = servable.spec.input, servable.manifest is not None
    if is_plan and settings.device == "cpu":
        raise ConfigError(
            f"{servable.artifact} is a TensorRT plan and runs on a GPU only. Fix: --device auto, or the .onnx"
        )
    kind = "cuda" if is_plan else settings.device
    config = pb.ModelConfig(
        name=servable.name,
        backend=servable.backend,
        default_model_filename=servable.file_name,
        max_batch_size=batching.max_size,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=1)),
        instance_group=[pb.ModelInstanceGroup(kind=KINDS[kind], count=settings.instances)],
        dynamic_batching=pb.ModelDynamicBatching(
            preferred_batch_size=batching.preferred, max_queue_delay_microseconds=settings.max_queue_delay_us
        ),
    )
    config.input.add(name=images.name, data_type=_DTYPES[images.dtype], dims=_dims(images))
    labels = [len(servable.spec.labels)]
    config.output.add(name=OUTPUT_NAME, data_type="TYPE_FP32", dims=labels, label_filename=LABELS_FILE)
    if is_plan and settings.cuda_graphs:
        config.optimization.cuda.graphs = True
    for size in batching.warmup:
        _add_warmup(config, images, size, is_random=settings.warmup == "random")
    for key, value in _parameters(servable).items():
        config.parameters[key].string_value = value
    return config


def _dims(images: InputSpec) -> list[int]:
    return [images.channels, images.height, images.width]


def _add_warmup(config: pb.ModelConfig, images: InputSpec, size: int, *, is_random: bool) -> None:
    sample = config.model_warmup.add(name=f"batch of {size}", batch_size=size)
    data = sample.inputs[images.name]
    data.data_type = pb.DataType.Value(_DTYPES[images.dtype])
    data.dims.extend(_dims(images))
    if is_random:
        data.random_data = True
    else:
        data.zero_data = True


def _parameters(servable: Servable) -> dict[str, str]:
    """Return the provenance. No backend reads these keys; clients get them by the server's model-config call."""
    entries = {
        SPEC_KEY: servable.spec.to_json(),
        SHA256_KEY: servable.sha256,
        "fer_artifact": servable.artifact.name,
        "fer_deploy_version": __version__,
    }
    if servable.manifest is not None:
        entries["fer_tensorrt_version"] = servable.manifest.version
        entries["fer_compute_capabilities"] = " ".join(servable.manifest.target.compute_capabilities)
    return entries


def config_text(config: pb.ModelConfig) -> str:
    """Return the text of config.pbtxt after checking that it parses to the same message.

    Raises:
        ExportError: it parses to another message.
    """
    text: str = text_format.MessageToString(config, as_utf8=True)
    if parse_config(text, where=config.name) != config:
        raise ExportError(f"config.pbtxt of {config.name} parses to another message. Fix: pip install -U protobuf")
    return text


def parse_config(text: str, *, where: str) -> pb.ModelConfig:
    """Parse a config.pbtxt by Triton's schema; `where` names it in errors.

    Raises:
        ExportError: a field or enum value is unknown, a type is wrong, or the text is not protobuf.
    """
    try:
        return text_format.Parse(text, pb.ModelConfig())
    except text_format.ParseError as err:
        raise ExportError(
            f"{where} is not a model configuration of Triton: {err}. Fix: write the repository again"
        ) from err
