"""Addresses of served models."""

from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from fer_deploy.engines import open_engine
from fer_deploy.engines.config import EngineChoice
from fer_deploy.engines.triton import connection
from fer_deploy.engines.triton.address import TritonAddress, is_triton
from fer_deploy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("triton://gpu-box:8001/senet", TritonAddress("gpu-box", 8001, "senet")),
        (
            "triton://gpu-box/senet-ferplus-int8-cpu-onnx/",
            TritonAddress("gpu-box", 8001, "senet-ferplus-int8-cpu-onnx"),
        ),
        ("triton://10.0.0.7:9000/senet/3", TritonAddress("10.0.0.7", 9000, "senet", "3")),
        ("triton://[::1]:8001/net", TritonAddress("[::1]", 8001, "net")),
        ("tritons://gpu.example.org/net", TritonAddress("gpu.example.org", 8001, "net", is_encrypted=True)),
    ],
)
def test_forms(text, address):
    assert TritonAddress.parse(text) == address
    assert TritonAddress.parse(Path(text)) == address  # a Path keeps one of the two slashes
    assert TritonAddress.parse(str(address)) == address
    assert is_triton(text)
    assert is_triton(Path(text))


@pytest.mark.parametrize(
    "text",
    [
        "triton://",
        "triton://box",
        "triton://box:8001",
        "triton://box:x/net",
        "triton://box/net/latest",
        "triton://box/a b",
    ],
)
def test_other_forms_are_refused_with_the_right_one(text):
    with pytest.raises(ConfigError, match=r"is not the address of a served model. Fix: .*triton://HOST:8001/MODEL"):
        open_engine(text)


def test_a_port_that_does_not_exist():
    with pytest.raises(ConfigError, match=r"there is no port 80010. Fix: Triton's gRPC port, usually 8001"):
        TritonAddress.parse("triton://box:80010/net")


@pytest.mark.parametrize("engine", [None, "net.onnx", Path("triton/net.onnx"), "artifacts/triton:/net.onnx"])
def test_files_are_no_addresses(engine):
    assert not is_triton(engine)


def test_as_a_setting_it_names_no_file():
    choice = EngineChoice(engine=Path("triton://box/net"))
    assert choice.model_files() == []
    assert TritonAddress.parse(choice.engine_file).host == "box"


def test_a_refused_path_is_shown_with_both_slashes():
    with pytest.raises(ConfigError, match=r"^triton://box is not the address"):
        TritonAddress.parse(Path("triton://box"))


def test_a_host_without_an_address_is_not_taken_for_a_wrong_name():
    err = InferenceServerException("errors resolving nohost:8001: [field:hostname lookup error:Domain name not found]")
    address = TritonAddress("nohost", 8001, "net")
    assert connection._fix_to_open(err, address) == "check the host: nohost has no address in the network"


def test_two_models_are_refused_with_both_slashes():
    with pytest.raises(ValueError, match=r"engine is triton://host:8001/net: two models"):
        EngineChoice(model="ferplus", engine="triton://host:8001/net")
