"""config.pbtxt: its content, field by field against a golden file, and the batch sizes that follow from settings."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from pydantic import ValidationError
from tritonclient.grpc import model_config_pb2 as pb
from unit.fer_deploy.export.triton.triton_plans import write_plan

from fer_deploy.artifacts import bundled_model
from fer_deploy.errors import ConfigError, ExportError
from fer_deploy.export.triton import config as triton_config
from fer_deploy.export.triton.config import build_config, config_text, parse_config
from fer_deploy.export.triton.model import TritonSettings, choose_batching, read_servable
from fer_deploy.spec import SPEC_KEY, spec_from_json

GOLDEN = Path(__file__).parents[4] / "data" / "triton-net-fp16-plan.pbtxt"


@pytest.fixture(scope="module")
def onnx():
    return read_servable(bundled_model())


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return read_servable(write_plan(tmp_path_factory.mktemp("plan") / "net-fp16.plan"))


def config_of(servable, **given):
    settings = TritonSettings(**given)
    return build_config(servable, choose_batching(servable, settings), settings)


def test_golden(plan, monkeypatch):
    """The file is what `config_text` printed and a person read; the ModelSpec is compared by its meaning below."""
    monkeypatch.setattr(triton_config, "__version__", "0.0.0")
    config = config_of(plan)
    spec = config.parameters.pop(SPEC_KEY)
    assert spec_from_json(spec.string_value, where="x") == plan.spec
    assert text_format.MessageToString(config, as_utf8=True) == GOLDEN.read_text()


def test_onnx(onnx):
    config = config_of(onnx)
    assert (config.name, config.backend, config.default_model_filename) == (
        "senet-ferplus-fp16-onnx",
        "onnxruntime",
        "model.onnx",
    )
    assert config.max_batch_size == 64
    (images,), (logits,) = config.input, config.output
    assert (images.name, images.data_type, list(images.dims)) == ("images", pb.TYPE_UINT8, [1, 48, 48])
    assert (logits.name, logits.data_type, list(logits.dims)) == ("logits", pb.TYPE_FP32, [8])
    assert logits.label_filename == "labels.txt"
    assert list(config.dynamic_batching.preferred_batch_size) == [8, 32]
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    assert config.version_policy.latest.num_versions == 1
    assert not config.HasField("optimization")
    assert [sample.batch_size for sample in config.model_warmup] == [1, 8, 32]
    assert all(sample.inputs["images"].random_data for sample in config.model_warmup)


def test_names_and_sizes_come_from_the_spec(onnx):
    spec = onnx.spec
    image = spec.input.model_copy(update={"name": "faces", "height": 64, "width": 32})
    other = spec.model_copy(update={"labels": ("bright", "dark"), "input": image})
    config = config_of(type(onnx)(onnx.name, onnx.artifact, onnx.sha256, other, None))
    assert (config.input[0].name, list(config.input[0].dims)) == ("faces", [1, 64, 32])
    assert list(config.output[0].dims) == [2]
    assert list(config.model_warmup[0].inputs["faces"].dims) == [1, 64, 32]


@pytest.mark.parametrize("servable", ["onnx", "plan"])
def test_text_reads_back(servable, request):
    config = config_of(request.getfixturevalue(servable))
    assert parse_config(config_text(config), where="x") == config


def test_text_that_reads_back_otherwise(onnx, monkeypatch):
    monkeypatch.setattr(text_format, "MessageToString", lambda *args, **kwargs: 'name: "other"')
    with pytest.raises(ExportError, match=r"config\.pbtxt of senet-ferplus-fp16-onnx parses to another message"):
        config_text(config_of(onnx))


@pytest.mark.parametrize("text", ["colour: 3", "max_batch_size: 'many'", "input [{ data_type: TYPE_UINT9 }]", "{"])
def test_foreign_text(text):
    with pytest.raises(ExportError, match="x is not a model configuration of Triton: "):
        parse_config(text, where="x")


@pytest.mark.parametrize(
    ("device", "kind"),
    [("auto", "KIND_AUTO"), ("cpu", "KIND_CPU"), ("gpu", "KIND_GPU")],
)
def test_device(onnx, device, kind):
    (group,) = config_of(onnx, device=device, instances=3).instance_group
    assert (pb.ModelInstanceGroup.Kind.Name(group.kind), group.count) == (kind, 3)


def test_plan_runs_on_the_gpu(plan):
    (group,) = config_of(plan).instance_group
    assert group.kind == pb.ModelInstanceGroup.KIND_GPU
    with pytest.raises(ConfigError, match=r"is a TensorRT plan and runs on a GPU only\. Fix: --device auto"):
        config_of(plan, device="cpu")


def test_cuda_graphs_and_warm_up(plan):
    assert config_of(plan).optimization.cuda.graphs is True
    assert not config_of(plan, cuda_graphs=False).HasField("optimization")
    assert not config_of(plan, warmup="off").model_warmup
    assert all(s.inputs["images"].zero_data for s in config_of(plan, warmup="zero").model_warmup)


class TestBatching:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, (32, (8, 32), (1, 8, 32))),
            ({"max_batch_size": 16}, (16, (8, 16), (1, 8, 16))),
            ({"max_batch_size": 1}, (1, (1,), (1,))),
            ({"preferred_batch_size": (16, 4, 4)}, (32, (4, 16), (1, 4, 16))),
            ({"warmup": "off"}, (32, (8, 32), ())),
        ],
    )
    def test_of_a_plan(self, plan, given, expected):
        got = choose_batching(plan, TritonSettings(**given))
        assert (got.max_size, got.preferred, got.warmup) == expected

    @pytest.mark.parametrize(("size", "expected"), [(None, (64, (8, 32))), (20, (20, (8, 20))), (4, (4, (4,)))])
    def test_of_onnx(self, onnx, size, expected):
        got = choose_batching(onnx, TritonSettings(max_batch_size=size))
        assert (got.max_size, got.preferred) == expected

    def test_larger_than_the_profile(self, plan):
        with pytest.raises(
            ConfigError, match=r"max_batch_size 33 is more than the profile .*\(32\)\. Fix: --max-batch-size 32"
        ):
            choose_batching(plan, TritonSettings(max_batch_size=33))

    @pytest.mark.parametrize("size", [0, -1, 65])
    def test_preferred_outside(self, onnx, size):
        with pytest.raises(ConfigError, match=rf"preferred_batch_size {size} is outside of 1 to 64.*Fix: --preferred"):
            choose_batching(onnx, TritonSettings(preferred_batch_size=(8, size)))

    @pytest.mark.parametrize(
        "given", [{"max_batch_size": 0}, {"max_queue_delay_us": -1}, {"instances": 0}, {"device": "tpu"}, {"batch": 1}]
    )
    def test_settings_out_of_range(self, given):
        with pytest.raises(ValidationError):
            TritonSettings(**given)
