import json
import re

import pytest
import torch
from harness.measuring import Output, environment, matmul_flops, result_name, seconds_per_call, write_results

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


def test_results_name_no_folder_of_the_machine(tmp_path):
    result = {"yunet": "/home/bob/yunet.onnx", "files": [["/tmp/tmp_x/a.jsonl"]], "n": 2}
    write_results(tmp_path / "a.md", result, "made with `--yunet /home/bob/yunet.onnx`\n")
    assert (tmp_path / "a.md").read_text() == "made with `--yunet yunet.onnx`\n"
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == {"yunet": "yunet.onnx", "files": [["a.jsonl"]], "n": 2}


def test_result_file_names_what_was_measured_the_hardware_and_the_month(monkeypatch):
    assert re.fullmatch(r"training_cpu_\d{4}-\d\d\.md", result_name("training", CPU))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "NVIDIA H100 80GB (HBM3)")
    name = result_name("sweep", torch.device("cuda"))
    assert re.fullmatch(r"sweep_nvidia-h100-80gb-hbm3_\d{4}-\d\d\.md", name)


def test_results_go_to_an_untracked_folder_and_are_published_only_on_request(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.measuring.UNPUBLISHED", tmp_path / "artifacts")
    monkeypatch.setattr("harness.measuring.RESULTS", tmp_path / "results")
    name, own = result_name("a", CPU), tmp_path / "own.md"
    assert Output(None, publish=False).paths("a", CPU) == [tmp_path / "artifacts" / name]
    assert Output(own, publish=False).paths("a", CPU) == [own]
    assert Output(own, publish=True).paths("a", CPU) == [own, tmp_path / "results" / name]


def test_an_earlier_table_is_the_one_that_is_to_be_written_or_the_published_one(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.measuring.UNPUBLISHED", tmp_path / "artifacts")
    monkeypatch.setattr("harness.measuring.RESULTS", tmp_path / "results")
    published = tmp_path / "results" / result_name("a", CPU)
    own = Output(tmp_path / "own.md", publish=False)
    assert own.earlier("a", CPU) == published.with_suffix(".json")
    write_results(published, {}, "")
    assert own.earlier("a", CPU) == published.with_suffix(".json")
    write_results(tmp_path / "own.md", {}, "")
    assert own.earlier("a", CPU) == tmp_path / "own.json"
    assert Output(own.out, publish=True).earlier("a", CPU) == published.with_suffix(".json")


def test_a_chart_that_fails_leaves_the_old_results(tmp_path):
    def fail(path):
        path.write_bytes(b"half")
        raise ValueError("no rows")

    path = tmp_path / "a.md"
    write_results(path, {"runs": [1]}, "# old\n", lambda path: path.write_bytes(b"chart"))
    with pytest.raises(ValueError, match="no rows"):
        write_results(path, {"runs": [2]}, "# new\n", fail)
    assert path.read_text() == "# old\n"
    assert path.with_suffix(".png").read_bytes() == b"chart"
    assert sorted(left.name for left in tmp_path.iterdir()) == ["a.json", "a.md", "a.png"]


def test_results_are_written_as_markdown_and_json_side_by_side(tmp_path):
    write_results(tmp_path / "new" / "a.md", {"runs": [1.5]}, "# A\n")
    assert (tmp_path / "new" / "a.md").read_text() == "# A\n"
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {"runs": [1.5]}
