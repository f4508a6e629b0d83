import threading

import numpy as np
import pytest
from unit.fer_deploy.bench.fake_clock import FakeClock

from fer_deploy.bench.scenarios import arrivals_at, highest_rate, offline, serve
from fer_deploy.bench.windows import Repeated, WindowPlan
from fer_deploy.errors import EngineError

PLAN = WindowPlan(window_s=1.0, warm_up_s=0.1, settle_s=0.0)


def batches(clock, seconds_of):
    return lambda batch: Repeated(clock.call(seconds_of(batch)), items=batch)


def test_the_batch_is_doubled_while_throughput_gains():
    clock = FakeClock()
    found = offline(batches(clock, lambda batch: 0.1 + 0.01 * max(batch, 8)), PLAN, clock=clock)
    assert found.batch == 64 or found.batch > 8
    rates = [one.per_s for one in found.by_batch.values()]
    assert found.best.per_s >= max(rates) / 1.05


def test_it_ends_after_two_sizes_without_a_gain():
    clock = FakeClock()
    found = offline(batches(clock, lambda batch: 0.1 * batch), PLAN, clock=clock)
    assert list(found.by_batch) == [1, 2, 4]
    assert found.batch == 1


def test_one_slow_size_does_not_hide_a_faster_one():
    clock = FakeClock()
    found = offline(batches(clock, lambda batch: 0.4 if batch == 2 else 0.1), PLAN, most=16, clock=clock)
    assert found.batch == 16


def test_larger_steps_and_less_patience_try_fewer_sizes():
    clock = FakeClock()
    workload = batches(clock, lambda batch: 0.1 + 0.01 * max(batch, 8))
    assert list(offline(workload, PLAN, step=4, most=16, clock=clock).by_batch) == [1, 4, 16]
    flat = batches(clock, lambda batch: 0.1 * batch)
    assert list(offline(flat, PLAN, step=4, patience=1, clock=clock).by_batch) == [1, 4]
    assert list(offline(flat, PLAN, step=4, longest_ms=1500, clock=clock).by_batch) == [1, 4]


def test_a_batch_that_the_engine_refuses_ends_it():
    clock = FakeClock()

    def workload(batch):
        def refuse():
            raise EngineError("out of memory")

        return Repeated(refuse if batch > 4 else clock.call(0.1), items=batch)

    found = offline(workload, PLAN, clock=clock)
    assert (found.batch, found.failure) == (4, "out of memory")


def test_an_engine_that_refuses_the_first_batch_is_an_error():
    def refuse():
        raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        offline(lambda _: Repeated(refuse), PLAN, clock=FakeClock())


def test_arrivals_are_those_of_a_poisson_process():
    gaps = np.diff([0.0, *arrivals_at(100, 200)])
    assert gaps.min() > 0
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)
    assert gaps.std() == pytest.approx(0.01, rel=0.05)  # of an exponential distribution: as large as the mean
    assert arrivals_at(100, 200) == arrivals_at(100, 200)
    assert arrivals_at(100, 200, seed=1) != arrivals_at(100, 200)


def test_latency_counts_from_the_scheduled_arrival():
    clock = FakeClock()
    load = serve([clock.call(1.0)], 1.0, [0.5, 0.75, 10.0], give_up_ms=1e9, clock=clock)
    assert load.latencies_ms == (1000.0, 1750.0, 1000.0)


def test_a_stall_is_felt_by_all_that_wait_behind_it():
    clock = FakeClock()
    arrivals = [0.1 * n for n in range(100)]
    load = serve([clock.call([5.0] + [0.01] * 99)], 10.0, arrivals, give_up_ms=1e9, clock=clock)
    assert sum(value > 1000 for value in load.latencies_ms) > 30  # a closed loop would see one slow call


def test_a_lost_run_is_given_up():
    clock = FakeClock()
    load = serve([clock.call(1.0)], 10.0, [0.1 * n for n in range(1000)], give_up_ms=100.0, clock=clock)
    assert len(load.latencies_ms) < 20
    assert not load.holds(100.0)


def test_the_highest_rate_is_below_the_capacity_and_above_half_of_it():
    clock = FakeClock()
    found = highest_rate([clock.call(0.01)], limit_ms=100, ceiling=100.0, seconds=60, num_steps=8, clock=clock)
    assert 60 < found.rate < 99
    assert all(load.holds(100) == (load.rate <= found.rate) for load in found.loads)


def test_a_tight_limit_allows_a_lower_rate():
    rates = []
    for limit_ms in (15, 30, 100):
        clock = FakeClock()
        found = highest_rate([clock.call(0.01)], limit_ms=limit_ms, ceiling=100.0, seconds=60, clock=clock)
        rates.append(found.rate)
    assert rates == sorted(rates)
    assert rates[0] < 40


def test_no_rate_holds_a_limit_below_the_latency():
    clock = FakeClock()
    assert highest_rate([clock.call(0.01)], limit_ms=9, ceiling=100.0, clock=clock).rate == 0


def test_several_servers_serve_every_arrival_once():
    served = []
    load = serve([lambda: served.append(0)] * 3, 1e4, arrivals_at(1e4, 0.02), give_up_ms=1e9)
    assert len(served) == len(load.latencies_ms) == load.num_planned == 200


def test_an_error_of_a_server_is_raised():
    def fail():
        raise EngineError("broken")

    with pytest.raises(EngineError, match="broken"):
        serve([fail, fail], 1e4, arrivals_at(1e4, 0.01), give_up_ms=1e9)


def test_a_signal_is_raised_when_all_servers_have_ended():
    class Signal(BaseException):
        pass

    running = threading.Event()
    threads = []

    def signalled():
        running.wait(60)
        raise Signal

    def busy():
        threads.append(threading.current_thread())
        running.set()

    with pytest.raises(Signal):
        serve([signalled, busy], 100.0, arrivals_at(100.0, 60.0), give_up_ms=1e9)
    assert threads
    assert not any(thread.is_alive() for thread in threads)
