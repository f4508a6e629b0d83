from dataclasses import replace

import numpy as np
import pytest
from unit.fer_deploy.bench.results import artifact

from fer_deploy.bench import measuring as module
from fer_deploy.bench.candidates import Candidate
from fer_deploy.bench.machine.energy import Counter, EnergyMeter
from fer_deploy.bench.machine.resources import ColdStart
from fer_deploy.bench.measuring import Measuring, workers_of
from fer_deploy.bench.plans import Plans
from fer_deploy.bench.ranking import Drop, Limits
from fer_deploy.bench.windows import Repeated, Together, WindowPlan
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError

SHORT = WindowPlan(window_s=0.0, warm_up_s=0.0, settle_s=0.0)
PLANS = Plans(SHORT, SHORT, SHORT, SHORT, server_s=0.01, most_batch=4, longest_ms=1e9)
ARTIFACTS = [artifact(kind) for kind in ("fp32", "int8-cpu")]
CANDIDATES = [Candidate(one.path, "onnxruntime-cpu", threads, threads > 1) for one in ARTIFACTS for threads in (1, 2)]


@pytest.fixture
def engines(monkeypatch):
    """Engines that were opened, with the candidates; those of fp32 do not stand for those of int8-cpu."""
    opened = []

    class Noted(FakeEngine):
        def close(self):
            opened.remove(self)

    def open_fake(candidate):
        opened.append(Noted())
        return opened[-1]

    monkeypatch.setattr(Candidate, "open", open_fake)
    return opened


def measuring(**changes) -> Measuring:
    said = changes.pop("said", [])
    fields = {"goal": "throughput", "limits": Limits(), "plans": PLANS, "cores": 2}
    return Measuring(**{**fields, **changes}, on_message=said.append)


def test_one_setting_is_chosen_for_each_file_and_all_engines_are_closed(engines):
    chosen = measuring().settings(CANDIDATES)
    assert [one.path for one in chosen] == [one.path for one in ARTIFACTS]
    assert set(chosen) <= set(CANDIDATES)
    assert engines == []


def test_a_file_with_one_setting_needs_no_measurement(engines):
    said = []
    assert measuring(said=said).settings(CANDIDATES[:1]) == CANDIDATES[:1]
    assert said == []


def test_a_busy_loop_is_tried_only_where_the_plan_says_so(engines):
    spinning = [Candidate(ARTIFACTS[0].path, "onnxruntime-cpu", 2, True)]
    said = []
    brief = measuring(plans=replace(PLANS, spins=False), said=said)
    assert brief.settings([CANDIDATES[0], *spinning]) == [CANDIDATES[0]]
    assert said == []


def test_what_the_export_measured_does_not_run(engines):
    measured = artifact("fp32", metrics={"accuracy_change": -0.004, "num_faces": 9, "faces": "PublicTest"})
    said = []
    drops = measuring(said=said).drops([measured, ARTIFACTS[1]], [CANDIDATES[0]])
    assert (drops[CANDIDATES[0]].points, said) == (0.4, [])
    drops = measuring(said=said).drops([measured, ARTIFACTS[1]], CANDIDATES)
    assert [drop.points for drop in drops.values()] == [0.4, 0.0]
    assert said == ["answers of net-fp32.onnx", "answers of net-int8-cpu.onnx"]


def test_without_a_reference_nothing_is_known_and_nothing_runs(engines):
    said = []
    drops = measuring(said=said).drops([ARTIFACTS[1]], CANDIDATES[2:])
    assert [drop.points for drop in drops.values()] == [None]
    assert said == []


def test_without_fp32_the_first_that_was_measured_is_the_reference(engines):
    measured = artifact("int8-cpu", metrics={"accuracy_change": -0.004, "num_faces": 9, "faces": "PublicTest"})
    openvino = Candidate(measured.path, "openvino", 1, False)
    drops = measuring().drops([measured], [CANDIDATES[2], openvino])
    assert (drops[CANDIDATES[2]].points, drops[openvino].points) == (0.4, 0.4)
    assert measuring().drops([measured], [openvino])[openvino].points == 0.4  # it opens the file in ONNX Runtime, too
    cuda = Candidate(measured.path, "onnxruntime-cuda", None, False)
    assert measuring().drops([measured], [cuda])[cuda].points is None


def test_an_fp32_that_does_not_run_here_is_no_reference(engines):
    fp16 = artifact("fp16")
    runs = [Candidate(fp16.path, "onnxruntime-cpu", 1, False), CANDIDATES[2]]
    drops = measuring().drops([ARTIFACTS[0], fp16, ARTIFACTS[1]], runs)
    assert [drop.points for drop in drops.values()] == [0.0, 0.0]


def test_another_runtime_is_compared_with_the_one_that_the_export_measured(monkeypatch):
    """FP32 names other emotions for two faces: that is the file's loss, which its export measured."""
    measured = artifact("int8-cpu", metrics={"accuracy_change": -0.004, "num_faces": 9, "faces": "PublicTest"})
    openvino = Candidate(measured.path, "openvino", 1, False)

    def logits(self, group):
        answers = np.zeros(256, dtype=int)
        answers[:2] = group[0].path == measured.path
        answers[2] = group[0] == openvino
        return np.eye(2)[answers]

    monkeypatch.setattr(Measuring, "_logits", logits)
    drops = measuring().drops([ARTIFACTS[0], measured], [CANDIDATES[0], CANDIDATES[2], openvino])
    assert drops[CANDIDATES[2]].points == 0.4
    assert drops[openvino].points == pytest.approx(0.4 + 100 / 256)
    assert drops[openvino].basis == (
        "its export measured it on 9 faces: PublicTest, and 0.39 % other answers here on 256 drawn faces"
    )
    assert drops[openvino].is_bound
    alone = measuring().drops([ARTIFACTS[0], measured], [replace(CANDIDATES[0], runtime="openvino"), openvino])
    assert alone[openvino] == drops[openvino]


def test_drops_are_judged_against_the_reference(engines):
    drops = measuring().drops(ARTIFACTS, CANDIDATES)
    assert list(drops) == [CANDIDATES[0], CANDIDATES[2]]
    assert {drop.basis for drop in drops.values()} == {"other answers here on 256 drawn faces"}
    assert {drop.points for drop in drops.values()} == {0.0}
    assert engines == []


@pytest.mark.parametrize(("use", "goal"), [("single", "latency"), ("workers", "throughput"), ("single", "size")])
def test_a_ranking_has_every_candidate_with_all_batches(engines, use, goal):
    drops = {CANDIDATES[0]: Drop(0.0, False, ""), CANDIDATES[2]: Drop(9.0, False, "measured")}
    limited = measuring(goal=goal, limits=Limits(None, 1.0))
    ranked = limited.ranking(use, [CANDIDATES[0], CANDIDATES[2]], ARTIFACTS, drops)
    assert [(one.result.artifact.kind, one.is_usable) for one in ranked] == [("fp32", True), ("int8-cpu", False)]
    assert 1 in ranked[0].result.offline.by_batch
    assert engines == []


def test_energy_counts_the_call_that_is_not_timed(engines):
    readings = iter([10.0, 16.0])
    meter = EnergyMeter("RAPL", "", (Counter(lambda: next(readings)),))
    (one,) = measuring(meter=meter).ranking("single", CANDIDATES[:1], ARTIFACTS, {CANDIDATES[0]: Drop(0.0, False, "")})
    assert one.result.joules == 6.0 / (2 * one.result.offline.batch)


def test_without_a_counter_there_is_no_energy(engines):
    meter = EnergyMeter("", "no counter")
    (one,) = measuring(meter=meter).ranking("single", CANDIDATES[:1], ARTIFACTS, {CANDIDATES[0]: Drop(0.0, False, "")})
    assert one.result.joules is None


def test_close_ones_are_measured_in_pairs(engines, monkeypatch):
    measured = []

    def pairs(loads, num, plan):
        measured.append((list(loads), num))
        return real(loads, num, plan)

    real = module.measure_pairs
    monkeypatch.setattr(module, "measure_pairs", pairs)
    monkeypatch.setattr(module, "rivals", lambda ranked, goal, limits, most: [one.result for one in ranked])
    drops = {CANDIDATES[0]: Drop(0.0, False, ""), CANDIDATES[2]: Drop(0.0, False, "")}
    ranked = measuring().ranking("workers", [CANDIDATES[0], CANDIDATES[2]], ARTIFACTS, drops)
    assert [(sorted(names), num) for names, num in measured] == [(sorted([CANDIDATES[0].name, CANDIDATES[2].name]), 15)]
    assert ranked[0].verdict.startswith("best")


def test_workers_call_at_the_same_time_if_the_engine_can(engines):
    class OneAtATime(FakeEngine):
        is_concurrent = False

    class Shared(FakeEngine):
        is_concurrent = True

    assert isinstance(measuring().workload(Shared(), "workers", 1), Together)
    assert isinstance(measuring().workload(OneAtATime(), "workers", 1), Repeated)
    assert isinstance(measuring().workload(Shared(), "single", 1), Repeated)


def test_the_server_scenario_is_for_what_holds_the_limits(engines):
    drops = {CANDIDATES[0]: Drop(0.0, False, "")}
    (best,) = measuring().ranking("workers", CANDIDATES[:1], ARTIFACTS, drops)
    found = measuring(limits=Limits(latency_budget_ms=1e6)).server(best)
    assert found.limit_ms == 1e6
    assert found.rate > 0
    (worst,) = measuring(limits=Limits(latency_budget_ms=1e-9)).ranking("workers", CANDIDATES[:1], ARTIFACTS, drops)
    assert measuring().server(worst) is None


def test_the_server_scenario_can_be_left_out(engines):
    (best,) = measuring().ranking("workers", CANDIDATES[:1], ARTIFACTS, {CANDIDATES[0]: Drop(0.0, False, "")})
    assert measuring(plans=replace(PLANS, server_s=None)).server(best) is None


def test_what_does_not_start_is_skipped_with_the_reason(monkeypatch):
    started = ColdStart(1.0, 2.0, 3.0, 10.0, 5, 4)

    def start(orders):
        if "int8" in orders["path"]:
            raise EngineError("a plan for another GPU")
        return started

    monkeypatch.setattr(module, "cold_start", start)
    found, skipped = measuring().cold_starts(CANDIDATES)
    assert found == {CANDIDATES[0]: started}
    assert [(one.what, one.reason) for one in skipped] == [
        ("net-int8-cpu.onnx, ONNX Runtime, 1 thread", "a plan for another GPU")
    ]


def test_workers_have_one_thread_or_none_of_the_cpu():
    plan = Candidate(artifact("plan").path, "tensorrt", None, False)
    assert workers_of([*CANDIDATES, plan]) == [CANDIDATES[0], CANDIDATES[2], plan]
