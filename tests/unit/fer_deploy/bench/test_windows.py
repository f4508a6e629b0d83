import threading
from itertools import repeat

import pytest
from unit.fer_deploy.bench.fake_clock import FakeClock

from fer_deploy.bench.windows import (
    Measurement,
    Repeated,
    SystemClock,
    Together,
    Window,
    WindowPlan,
    agree,
    measure,
    measure_in_turn,
    measure_pairs,
    speedup,
)

PLAN = WindowPlan(window_s=1.0, warm_up_s=0.5, settle_s=0.25)


def window(median_ms: float, per_s: float = 100.0) -> Window:
    return Window((median_ms,), 1.0, 1.0, round(per_s))


def test_a_steady_call_is_stable_after_three_windows():
    clock = FakeClock()
    found = measure(Repeated(clock.call(0.125), items=4), PLAN, clock=clock)
    assert found.is_stable
    assert [len(one.latencies_ms) for one in found.windows] == [8, 8, 8]
    assert found.latency_ms(50) == 125.0
    assert found.per_s == 32.0
    assert found.cpu_ms_per_item == 31.25


def test_cpu_time_counts_all_threads():
    clock = FakeClock(cores=2)
    assert measure(Repeated(clock.call(0.5)), PLAN, clock=clock).cpu_ms_per_item == 1000.0


def test_a_call_that_gets_slower_and_slower_is_not_stable():
    clock = FakeClock()
    found = measure(Repeated(clock.call([1.0 * 1.2**n for n in range(40)])), PLAN, clock=clock)
    assert not found.is_stable
    assert len(found.windows) == PLAN.most


def test_a_start_that_is_slow_only_costs_windows():
    clock = FakeClock()
    times = [0.5] * 6 + [0.1] * 1000
    found = measure(Repeated(clock.call(times)), PLAN, clock=clock)
    assert found.is_stable
    assert 3 < len(found.windows) < 10


def test_no_sample_is_thrown_away():
    clock = FakeClock()
    found = measure(Repeated(clock.call([0.1] * 6 + [5.0])), PLAN, clock=clock)
    assert 5000.0 in [round(value) for value in found.latencies_ms]
    assert sum(len(one.latencies_ms) for one in found.windows) == len(found.latencies_ms)
    assert found.to_dict()["max_ms"] == 5000.0


def test_the_first_call_of_a_window_is_not_timed():
    clock = FakeClock()
    found = Repeated(clock.call([9.0, 0.5, 0.5])).window(1.0, clock)
    assert found.latencies_ms == (500.0, 500.0)


def test_a_call_longer_than_the_window_is_timed_once():
    clock = FakeClock()
    assert Repeated(clock.call(7.0)).window(1.0, clock).latencies_ms == (7000.0,)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([window(1.0), window(1.0)], False),
        ([window(1.0), window(1.05), window(1.1)], True),
        ([window(1.0), window(1.05), window(1.11)], False),
        ([window(9.0), window(1.0), window(1.05), window(1.1)], True),
        ([window(1.0, 100), window(1.0, 111), window(1.0, 100)], False),
    ],
)
def test_the_last_three_agree_in_latency_and_in_throughput(windows, expected):
    assert agree(windows, PLAN) is expected


def test_workloads_alternate_and_the_order_turns():
    order = []

    class Noted(Repeated):
        def __init__(self, name, call):
            super().__init__(call)
            self.name = name

        def window(self, seconds, clock):
            order.append(self.name)
            return super().window(seconds, clock)

    clock = FakeClock()
    rounds = []
    loads = {name: Noted(name, clock.call(0.5)) for name in "abc"}
    found = measure_in_turn(loads, PLAN, clock=clock, on_round=rounds.append)
    assert "".join(order) == "abc" + "abc" + "cba" + "abc"
    assert rounds == [1, 2, 3]
    assert list(found) == ["a", "b", "c"]


def test_all_have_as_many_windows_as_the_last_to_be_stable():
    clock = FakeClock()
    calls = {"steady": clock.call(0.5), "late": clock.call([2.0] * 6 + [0.5] * 1000)}
    found = measure_in_turn({name: Repeated(call) for name, call in calls.items()}, PLAN, clock=clock)
    assert len(found["steady"].windows) == len(found["late"].windows) > 3


def test_a_speedup_is_above_one_for_the_faster_in_both_measures():
    clock = FakeClock()
    loads = {"slow": Repeated(clock.call(0.2)), "fast": Repeated(clock.call(0.1))}
    found = measure_pairs(loads, 8, PLAN, clock=clock)
    assert len(found["fast"].windows) == 8
    for by in ("per_s", "median_ms"):
        interval = speedup(found["fast"], found["slow"], by=by)
        assert interval.value == pytest.approx(2, rel=0.1)
        assert interval.excludes(1)


def test_pairs_say_whether_they_were_stable():
    clock = FakeClock()
    loads = {"steady": Repeated(clock.call(0.5)), "wild": Repeated(clock.call([0.1, 0.1, 2.0, 0.7, 0.3, 3.0, 0.2]))}
    found = measure_pairs(loads, 5, PLAN, clock=clock)
    assert (found["steady"].is_stable, found["wild"].is_stable) == (True, False)


def test_callers_together_add_up():
    counts = [0, 0]
    is_together = threading.Barrier(2, timeout=60)

    def caller(index):
        def call():
            if counts[index] == 0:
                is_together.wait()  # both run at the same time, or this fails
            counts[index] += 1

        return call

    found = Together([caller(0), caller(1)], items=3).window(0.01, SystemClock())
    assert len(found.latencies_ms) == sum(counts) - 2
    assert found.num_items == 3 * len(found.latencies_ms)


def test_an_error_of_a_caller_is_raised_when_all_have_ended():
    def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Together([fail, lambda: None]).window(0.001, SystemClock())


class Signal(BaseException):
    """As `signals.Stopped`: raised in the main thread, between any two instructions."""


def test_a_signal_is_raised_when_all_callers_have_ended():
    class SignalledClock(SystemClock):
        def cpu(self):
            if threading.current_thread() is threading.main_thread():
                raise Signal
            return super().cpu()

    running = []

    def call():
        running.append(threading.current_thread())

    with pytest.raises(Signal):
        Together([call, call]).window(60.0, SignalledClock())
    assert len(set(running)) == 2
    assert not any(thread.is_alive() for thread in running)


def test_samples_are_in_the_json_on_request():
    found = Measurement((window(1.0), window(2.0)), False)
    assert "windows_ms" not in found.to_dict()
    assert found.to_dict(with_samples=True)["windows_ms"] == [[1.0], [2.0]]
    assert found.to_dict()["stable"] is False


def test_the_machines_clock_runs():
    clock = SystemClock()
    times = [clock.now() for _ in repeat(None, 3)]
    clock.sleep(0)
    assert times == sorted(times)
    assert clock.cpu() > 0
