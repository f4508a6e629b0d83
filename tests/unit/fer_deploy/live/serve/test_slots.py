"""Who may stay when many connect: decided without a network."""

import pytest

from fer_deploy.live.serve.slots import MAX_CONNECTIONS, MAX_UNKNOWN, MAX_UNKNOWN_PER_ADDRESS, Slots, client_address


class FakeClient:
    def __init__(self, address="10.0.0.1", *, is_known=False, is_idle=True) -> None:
        self.address, self.is_known, self.is_idle = address, is_known, is_idle
        self.is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True


def fill(slots: Slots, num: int, **kwargs) -> list[FakeClient]:
    clients = [FakeClient(**kwargs) for _ in range(num)]
    assert all(slots.enter(client) for client in clients)
    return clients


def test_an_address_that_opens_many_loses_its_own_oldest():
    slots = Slots()
    [other] = fill(slots, 1, address="10.0.0.2")
    greedy = fill(slots, 3 * MAX_UNKNOWN_PER_ADDRESS)
    assert all(client.is_dropped for client in greedy[:-MAX_UNKNOWN_PER_ADDRESS])
    assert not any(client.is_dropped for client in greedy[-MAX_UNKNOWN_PER_ADDRESS:])
    assert not other.is_dropped
    assert len(slots) == MAX_UNKNOWN_PER_ADDRESS + 1


def test_many_addresses_share_the_slots_of_the_unknown_and_the_one_with_most_gives_way():
    slots = Slots()
    [first] = fill(slots, 1, address="10.0.9.9")
    greedy = fill(slots, MAX_UNKNOWN_PER_ADDRESS, address="10.0.0.1")
    crowd = [fill(slots, 1, address=f"10.0.1.{number}")[0] for number in range(MAX_UNKNOWN - 2)]
    assert len(slots) == MAX_UNKNOWN
    assert not first.is_dropped
    assert sum(client.is_dropped for client in greedy) == MAX_UNKNOWN_PER_ADDRESS - 1, (
        "until it has no more than others"
    )
    assert not crowd[-1].is_dropped


def test_the_unknown_take_no_slot_of_those_who_showed_the_token():
    slots = Slots()
    known = fill(slots, MAX_CONNECTIONS - MAX_UNKNOWN, is_known=True)
    for number in range(200):
        fill(slots, 1, address=f"10.1.0.{number}")
    assert not any(client.is_dropped for client in known)
    assert len(slots) == MAX_CONNECTIONS


def test_where_all_are_known_the_oldest_idle_one_gives_way():
    slots = Slots()
    [watching] = fill(slots, 1, is_known=True, is_idle=False)
    idle = fill(slots, MAX_CONNECTIONS - 1, is_known=True)
    fill(slots, 1)
    assert [client.is_dropped for client in idle] == [True] + [False] * (MAX_CONNECTIONS - 2)
    assert not watching.is_dropped


def test_a_newcomer_is_refused_only_where_every_slot_is_in_use():
    slots = Slots()
    busy = fill(slots, MAX_CONNECTIONS, is_known=True, is_idle=False)
    newcomer = FakeClient()
    assert not slots.enter(newcomer)
    slots.leave(newcomer)
    slots.leave(busy[0])
    slots.leave(busy[0])
    assert slots.enter(newcomer)
    assert len(slots) == MAX_CONNECTIONS


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("127.0.0.1", 5), "127.0.0.1"),
        (("::ffff:10.0.0.7", 5, 0, 0), "10.0.0.7"),
        (("2001:db8::1:2:3:4", 5, 0, 0), "2001:db8::/64"),
        (("2001:db8::9", 5, 0, 0), "2001:db8::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        (None, ""),
        ("", ""),
    ],
)
def test_the_addresses_of_one_ipv6_network_count_as_one(peername, address):
    assert client_address(peername) == address
