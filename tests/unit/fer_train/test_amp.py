import itertools

import pytest
import torch

from fer_train.amp import MixedPrecision, bf16_speedup, resolve_device, resolve_precision
from fer_train.errors import ConfigError

CPU = torch.device("cpu")


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_cuda")
def test_auto_is_the_cpu_without_cuda():
    assert resolve_device("auto") == resolve_device("cpu") == CPU


def test_auto_is_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_cuda_that_is_not_there_is_an_error_and_no_fall_back(name):
    with pytest.raises(ConfigError, match=f"device is {name} but this machine has no usable CUDA device. Fix:"):
        resolve_device(name)


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize("name", ["gpu", "tpu:x", "mps", "xpu", "cuda:x", "meta"])
def test_unknown_device_is_a_config_error(name):
    with pytest.raises(ConfigError, match=name):
        resolve_device(name)


@pytest.fixture
def cpu_with(monkeypatch):
    """Pretend what the CPU can do, and how long each measured step takes in each precision."""

    def pretend(*, avx512_bf16=False, amx=False, bf16=(1.0,), fp32=(2.0,)):
        seconds = {torch.bfloat16: itertools.cycle(bf16), torch.float32: itertools.cycle(fp32)}
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr("fer_train.amp._step_seconds", lambda network, images, dtype: next(seconds[dtype]))

    bf16_speedup.cache_clear()
    yield pretend
    bf16_speedup.cache_clear()


@pytest.mark.parametrize("has", ["avx512_bf16", "amx"])
@pytest.mark.parametrize(("bf16_seconds", "expected"), [(1.0, "bf16"), (3.0, "fp32")])
def test_auto_precision_on_the_cpu_is_the_faster_one(cpu_with, has, bf16_seconds, expected):
    cpu_with(**{has: True}, bf16=[bf16_seconds])
    assert resolve_precision("auto", CPU) == expected


@pytest.mark.parametrize(
    ("bf16", "fp32", "expected"),
    [
        pytest.param((9.0, 1.0, 1.0, 30.0, 1.0, 1.0), (1.5,), "bf16", id="rounds in which others took the cores"),
        pytest.param((1.0,), (0.9, 40.0, 0.9, 0.9), "fp32", id="slow rounds of the other"),
        pytest.param((1.0, 2.0, 4.0, 8.0), (1.5, 3.0, 6.0, 12.0), "bf16", id="a clock that falls"),
        pytest.param((50.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), (1.5,), "bf16", id="the first step compiles"),
    ],
)
def test_auto_precision_is_not_misled_by_a_loaded_machine(cpu_with, bf16, fp32, expected):
    cpu_with(amx=True, bf16=bf16, fp32=fp32)
    assert resolve_precision("auto", CPU) == expected


def test_auto_precision_on_a_cpu_without_bf16_instructions_is_fp32_however_fast(cpu_with):
    cpu_with(bf16=[0.1])
    assert resolve_precision("auto", CPU) == "fp32"


@pytest.mark.slow
def test_the_measurement_runs_once_and_leaves_chance_and_threads_of_the_run_alone(monkeypatch):
    monkeypatch.setattr("fer_train.amp._NUM_ROUNDS", 1)
    bf16_speedup.cache_clear()
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    speedup = bf16_speedup()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert 0 < speedup < 100
    assert bf16_speedup() == speedup
    bf16_speedup.cache_clear()


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_precision_on_cuda(monkeypatch, native, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert resolve_precision("auto", torch.device("cuda")) == expected


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_named_precision_is_kept(name):
    assert resolve_precision(name, CPU) == name


def test_fp16_needs_cuda():
    with pytest.raises(ConfigError, match="precision fp16 needs CUDA; on the CPU use bf16 or fp32"):
        MixedPrecision("fp16", CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_autocast_runs_matrices_in_the_precision(precision, dtype):
    layer = torch.nn.Linear(4, 4)
    with MixedPrecision(precision, CPU).autocast():
        assert layer(torch.ones(2, 4)).dtype == dtype


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_step_is_plain_sgd(precision):
    layer = torch.nn.Linear(3, 1, bias=False)
    before = layer.weight.detach().clone()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    x = torch.tensor([[1.0, 2.0, 4.0]])
    for _ in range(2):  # the second step fails where gradients of the first were kept
        MixedPrecision(precision, CPU).step(layer(x).sum(), layer, optimizer)
    torch.testing.assert_close(layer.weight.detach(), before - 2 * 0.5 * x)


def test_gradients_are_clipped_to_the_norm():
    layer = torch.nn.Linear(3, 1, bias=False)
    before = layer.weight.detach().clone()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    amp = MixedPrecision("fp32", CPU, max_grad_norm=0.25)
    amp.step(layer(torch.full((1, 3), 1000.0)).sum(), layer, optimizer)
    assert float((layer.weight.detach() - before).norm()) == pytest.approx(0.25, rel=1e-3)


def test_state_is_empty_without_a_scaler_and_loads():
    amp = MixedPrecision("bf16", CPU)
    assert amp.state_dict() == {}
    amp.load_state_dict({})


@pytest.fixture
def scaled():
    """fp16's loss scaling, on the CPU: a layer, its optimizer, and what steps them."""
    layer = torch.nn.Linear(3, 1, bias=False)
    amp = MixedPrecision("fp32", CPU, max_grad_norm=0.25)
    amp._scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    return layer, torch.optim.SGD(layer.parameters(), lr=1.0), amp


def test_scaled_gradients_are_clipped_by_their_true_size(scaled):
    layer, optimizer, amp = scaled
    before = layer.weight.detach().clone()
    amp.step(layer(torch.tensor([[0.06, 0.08, 0.0]])).sum(), layer, optimizer)  # of norm 0.1: below the limit
    assert float((layer.weight.detach() - before).norm()) == pytest.approx(0.1, rel=1e-3)


def test_a_step_whose_gradients_overflow_is_skipped_and_the_scale_halved(scaled):
    layer, optimizer, amp = scaled
    before = layer.weight.detach().clone()
    amp.step(layer(torch.full((1, 3), torch.inf)).sum(), layer, optimizer)
    assert torch.equal(layer.weight, before)
    assert amp.state_dict()["scale"] == 512.0


def test_state_of_the_scaler_goes_on_where_it_was(scaled):
    layer, optimizer, amp = scaled
    amp.step(layer(torch.ones(1, 3)).sum(), layer, optimizer)
    resumed = MixedPrecision("fp32", CPU)
    resumed._scaler = torch.amp.GradScaler("cpu")
    resumed.load_state_dict(amp.state_dict())
    assert resumed.state_dict() == amp.state_dict()
    assert resumed.state_dict()["_growth_tracker"] == 1


def test_a_cuda_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda:0").index == 0
    with pytest.raises(ConfigError, match=r"device is cuda:7 but this machine has 1 CUDA devices"):
        resolve_device("cuda:7")
