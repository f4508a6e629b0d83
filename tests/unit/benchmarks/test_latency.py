"""latency.py splits the time of each file by operator, once, and its report shows the largest shares."""

import pytest
from harness.artifacts import EAGER, Candidate
from harness.latency_report import as_markdown
from latency import profiles

from fer_deploy.artifacts import bundled_model
from fer_deploy.spec import Precision

MODEL = bundled_model(Precision.INT8, "nano-ferplus")
ENV = {
    **{"hardware": "A chip", "date": "2026-01-02", "python": "3", "onnxruntime": "1", "device": "cpu", "threads": "1"},
    **{"load": "0.1", "command": "c"},
}


def test_a_file_has_a_profile_for_each_batch():
    found = profiles(Candidate("nano-ferplus", "ORT int8-cpu", path=MODEL), [1, 2], threads=1)
    assert [one["batch"] for one in found] == [1, 2]
    for one in found:
        assert sum(one["shares"].values()) == pytest.approx(1)
        assert one["call_ms"] > 0
        assert next(iter(one["shares"])) == max(one["shares"], key=one["shares"].__getitem__)


@pytest.mark.parametrize(("engine", "path"), [("ORT int8-cpu, spinning", MODEL), (EAGER, None)])
def test_what_is_profiled_already_or_is_no_file_has_none(engine, path):
    assert profiles(Candidate("nano-ferplus", engine, path=path), [1], threads=1) == []


def test_the_report_shows_the_largest_shares_and_nothing_for_results_without():
    result = {"model": "net", "engine": "ORT fp32", "file": "net-fp32.onnx", "bytes": 0}
    assert "Where the time goes" not in as_markdown([result], ENV)
    shares = {"Conv": 0.5, "Add": 0.2, "Relu": 0.15, "Mul": 0.1, "Gemm": 0.05}
    text = as_markdown([result | {"profiles": [{"batch": 16, "call_ms": 1.234, "shares": shares}]}], ENV)
    row = "| net | net-fp32.onnx | 16 | 1.23 | Conv 50%, Add 20%, Relu 15%, Mul 10%, others 5% |"
    assert row in text.splitlines()
