import re

import pytest
import torch
from harness.measuring import environment, matmul_flops, seconds_per_call

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """Return the seconds since the start as a list of one number, which a call may add to."""
    now = [0.0]
    monkeypatch.setattr("harness.measuring.time.perf_counter", lambda: now[0])
    return now


def test_calls_take_turns_and_the_first_round_does_not_count(clock):
    order = []
    durations = {"a": iter([100.0, 1.0, 5.0, 3.0]), "b": iter([100.0, 8.0, 8.0, 9.0])}

    def call(name):
        order.append(name)
        clock[0] += next(durations[name])

    measured = seconds_per_call({name: lambda name=name: call(name) for name in "ab"}, rounds=3, device=CPU)
    assert order == ["a", "b"] * 4
    assert measured == {"a": 3.0, "b": 8.0}


def test_rate_of_matrix_products_counts_two_operations_a_term(clock, monkeypatch):
    def product(a, b):
        clock[0] += 0.25
        assert a.shape == b.shape == (8, 8)

    monkeypatch.setattr("torch.mm", product)
    assert matmul_flops(CPU, torch.float32, side=8) == 4 * 2 * 8**3


def test_environment_is_enough_to_repeat_the_run(monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmarks/training.py", "--rounds", "2"])
    found = environment(CPU)
    assert set(found) == {"hardware", "python", "command", "date"}
    assert found["command"] == "python benchmarks/training.py --rounds 2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert f"torch {torch.__version__}" in found["hardware"]


def test_the_command_is_what_a_user_would_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        "--yunet",
        "/home/bob smith/yunet.onnx",
        f"--out={tmp_path}/new/a.md",
        "--source",
        "rtsp://me:geheim@cam/1",
    ]
    monkeypatch.setattr("sys.argv", ["/home/bob/fer/benchmarks/soak.py", *words])
    assert environment(CPU)["command"] == (
        "python benchmarks/soak.py --yunet yunet.onnx --out=new/a.md --source 'rtsp://***@cam/1'"
    )
