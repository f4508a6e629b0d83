import pytest
from unit.fer_deploy.bench.results import artifact, measurement, result

from fer_deploy.bench.candidates import Candidate
from fer_deploy.bench.ranking import Drop, Limits, decided, drop_here, drop_of_export, rank, rivals, value_of
from fer_deploy.bench.statistics import Interval

ANY = Limits()


def names(ranked):
    return [one.result.artifact.kind for one in ranked]


class TestOrder:
    def test_latency(self):
        ranked = rank([result("fp32", 4), result("fp16", 2), result("int8-cpu", 1)], "latency", ANY)
        assert names(ranked) == ["int8-cpu", "fp16", "fp32"]
        assert [one.verdict for one in ranked] == [
            "best",
            "0.50 times as fast as the best",
            "0.25 times as fast as the best",
        ]

    def test_throughput_takes_the_best_batch(self):
        slow_alone = result("fp16", 9, by_batch={1: measurement(9, 111), 8: measurement(16, 500)})
        ranked = rank([result("fp32", 4), slow_alone], "throughput", ANY)
        assert names(ranked) == ["fp16", "fp32"]

    def test_throughput_within_the_latency_budget(self):
        late = result("fp16", 9, by_batch={1: measurement(9, 111), 8: measurement(16, 500)})
        limits = Limits(latency_budget_ms=10)
        assert names(rank([result("fp32", 4), late], "throughput", limits)) == ["fp32", "fp16"]
        assert (late.batch_within(10), late.batch_within(20), late.batch_within(5)) == (1, 8, None)
        assert value_of(late, "throughput", Limits(latency_budget_ms=5)) == 0

    def test_size_and_then_speed(self):
        found = [result("fp16", 1, num_bytes=2000), result("int8-cpu", 9), result("int8-cpu", 3, threads=2)]
        ranked = rank(found, "size", ANY)
        assert [(one.result.artifact.kind, one.result.candidate.threads) for one in ranked] == [
            ("int8-cpu", 2),
            ("int8-cpu", 1),
            ("fp16", 1),
        ]
        assert ranked[-1].verdict == "2.00 times as large"


_NEAR = [("fp32", 4), ("fp16", 2)]


class TestLimits:
    def test_what_breaks_a_limit_comes_last_with_the_reason(self):
        found = [result("int8-cpu", 1, drop=2.5), result("fp16", 5, p99_ms=80), result("fp32", 9)]
        ranked = rank(found, "latency", Limits(50, 0.5))
        assert [(one.result.artifact.kind, one.is_usable, one.verdict) for one in ranked] == [
            ("fp32", True, "best"),
            ("int8-cpu", False, "2.50 points of accuracy lost, allowed 0.5: its export measured it"),
            ("fp16", False, "its p99 of 80.00 ms exceeds the budget of 50 ms"),
        ]

    def test_a_budget_that_one_of_two_measurements_holds(self):
        near = [result(kind, ms, by_batch={1: measurement(ms, 1e3 / ms, p99_ms=21)}) for kind, ms in _NEAR]
        ranked = rank(near, "throughput", Limits(latency_budget_ms=20))
        assert [(one.result.artifact.kind, one.is_usable, one.verdict) for one in ranked] == [
            ("fp16", True, "best"),
            ("fp32", True, "0.50 times as fast as the best"),
        ]

    def test_nothing_holds(self):
        (only,) = rank([result("fp32", 9)], "latency", Limits(5))
        assert not only.is_usable

    def test_a_gain_of_accuracy_is_no_drop(self):
        assert rank([result("int8-cpu", 1, drop=-0.3)], "latency", Limits(None, 0.0))[0].is_usable


LABELLED = {"accuracy_change": -0.004, "agreement": 0.97, "num_faces": 3589, "faces": "PublicTest", "accuracy": 0.7}
UNLABELLED = {"agreement": 0.99, "num_faces": 162, "faces": "a portrait"}
CPU = Candidate(None, "onnxruntime-cpu", 1, False)
OPENVINO = Candidate(None, "openvino", 1, False)
CUDA = Candidate(None, "onnxruntime-cuda", None, False)


class TestDrop:
    def test_what_the_export_measured(self):
        drop = drop_of_export(artifact("int8-cpu", metrics=LABELLED), CPU)
        assert drop == Drop(0.4, False, "its export measured it on 3,589 faces: PublicTest")
        assert drop.in_words() == "+0.40"

    def test_without_labels_the_answers_that_differ_are_a_bound(self):
        drop = drop_of_export(artifact("fp16", metrics=UNLABELLED), CPU)
        assert drop.points == pytest.approx(1.0)
        assert (drop.is_bound, drop.in_words()) == (True, "<= 1.00")
        assert drop.basis == "other answers in its export on 162 faces: a portrait"

    @pytest.mark.parametrize(
        ("kind", "candidate"),
        [
            ("int8-cpu", OPENVINO),  # another runtime, with other types
            ("fp16", CUDA),
            ("fp32", CUDA),
        ],
    )
    def test_an_engine_that_the_export_did_not_run_is_judged_here(self, kind, candidate):
        assert drop_of_export(artifact(kind, metrics=LABELLED), candidate) is None
        assert drop_here(0.875, 128) == Drop(12.5, True, "other answers here on 128 drawn faces")

    def test_a_plan_was_verified_with_its_own_runtime(self):
        plan = artifact("plan", metrics=LABELLED)
        candidate = Candidate(plan.path, "tensorrt", None, False)
        assert drop_of_export(plan, candidate).points == 0.4

    def test_nothing_is_known(self):
        assert drop_of_export(artifact("int8-cpu"), CPU) is None
        drop = drop_here(None, 128)
        assert (drop.points, drop.in_words()) == (None, "unknown")


class TestPairs:
    FAST, PLAIN = result("int8-cpu", 1.0, threads=2, spinning=True), result("fp32", 1.05)
    FAR = result("fp16", 9)

    def ranked(self):
        return rank([self.FAST, self.PLAIN, self.FAR], "latency", ANY)

    def test_only_close_ones_are_measured_again(self):
        assert rivals(self.ranked(), "latency", ANY) == [self.FAST, self.PLAIN]
        assert rivals(rank([self.FAR], "latency", Limits(1)), "latency", ANY) == []

    def test_for_size_the_engines_of_the_smallest_file(self):
        small = [result("int8-cpu", 5), result("int8-cpu", 1, threads=2)]
        ranked = rank([*small, result("fp16", 1, num_bytes=1001)], "size", ANY)
        assert {one.artifact.kind for one in rivals(ranked, "size", ANY)} == {"int8-cpu"}

    def test_of_two_that_cannot_be_told_apart_the_simpler_one_wins(self):
        found = decided(self.ranked(), {self.PLAIN.candidate: Interval(0.98, 0.93, 1.02)})
        assert names(found) == ["fp32", "int8-cpu", "fp16"]
        assert found[0].verdict == (
            "best; not distinguishable in speed from net-int8-cpu.onnx, ONNX Runtime, 2 threads, spinning, and simpler"
        )
        assert found[1].verdict == (
            "as fast as net-fp32.onnx, ONNX Runtime, 1 thread within the noise (0.93 to 1.02 times), and less simple"
        )

    def test_a_clear_winner_stays(self):
        found = decided(self.ranked(), {self.PLAIN.candidate: Interval(0.90, 0.85, 0.95)})
        assert names(found) == ["int8-cpu", "fp32", "fp16"]
        assert [one.verdict for one in found] == [
            "best",
            "0.90 times as fast as the best (0.85 to 0.95)",
            "0.11 times as fast as the best",
        ]

    def test_the_pairs_overrule_the_first_look(self):
        found = decided(self.ranked(), {self.PLAIN.candidate: Interval(1.2, 1.1, 1.3)})
        assert names(found) == ["fp32", "int8-cpu", "fp16"]
        assert found[0].verdict == "best"
        assert found[1].verdict == "net-fp32.onnx, ONNX Runtime, 1 thread is 1.20 times as fast (1.10 to 1.30)"

    def test_a_less_simple_one_that_is_as_fast(self):
        ranked = rank([result("fp32", 1.0), result("int8-cpu", 1.05)], "latency", ANY)
        found = decided(ranked, {ranked[1].result.candidate: Interval(1.0, 0.9, 1.1)})
        assert names(found) == ["fp32", "int8-cpu"]
        assert found[1].verdict == "as fast as the best within the noise (0.90 to 1.10 times), and less simple"
