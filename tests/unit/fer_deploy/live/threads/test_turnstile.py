import random
import threading

import pytest

from fer_deploy.live.threads.turnstile import Aborted, Turnstile

GUARD_S = 10


def test_tickets_pass_in_order_whoever_comes_first():
    turnstile, passed = Turnstile(), []
    tickets = list(range(30))
    random.Random(1).shuffle(tickets)

    def go(ticket):
        with turnstile.turn(ticket):
            passed.append(ticket)

    threads = [threading.Thread(target=go, args=(ticket,)) for ticket in tickets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)
    assert passed == sorted(tickets)


def test_a_failure_turns_the_later_ones_away_and_the_earlier_ones_pass():
    turnstile = Turnstile()
    turnstile.fail(1)
    with turnstile.turn(0):
        pass
    for ticket in (1, 2):
        with pytest.raises(Aborted), turnstile.turn(ticket):
            pass


def test_a_failure_wakes_who_waits():
    turnstile, outcome = Turnstile(), []

    def wait():
        try:
            with turnstile.turn(5):
                outcome.append("passed")
        except Aborted:
            outcome.append("aborted")

    thread = threading.Thread(target=wait)
    thread.start()
    turnstile.fail(3)
    thread.join(GUARD_S)
    assert outcome == ["aborted"]
