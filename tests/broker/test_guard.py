"""The guard, in a time of the test's own: whom wrong passwords slow down, and whom they don't."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from appliance.broker.embedded.guard import Guard
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.penalties import Penalties, Penalty

DAY_S = 86_400


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


# A growing penalty


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_penalty_grows_to_its_limit_and_is_forgiven_bit_by_bit(clock: Clock) -> None:
    penalties = Penalties[str](Penalty(free=2, first_s=1, most_s=10, forgiven_s=100), 10, clock)

    def penalty_s() -> int:
        penalties.count("a")
        began_s = clock.now_s
        while penalties.is_blocked("a"):
            clock.now_s += 1
        return int(clock.now_s - began_s)

    assert [penalty_s() for _ in range(9)] == [0, 0, 1, 2, 4, 8, 10, 10, 10]
    assert not penalties.is_blocked("b")
    # The level is 7 at most, however many there were: 6 of them are forgiven after this.
    clock.now_s += 600
    assert [penalty_s() for _ in range(2)] == [0, 1]
    clock.now_s += 1000
    assert [penalty_s() for _ in range(3)] == [0, 0, 1]


def test_only_so_many_are_remembered_and_the_longest_quiet_one_is_forgotten(clock: Clock) -> None:
    penalties = Penalties[str](Penalty(free=0, first_s=100, most_s=100, forgiven_s=100), 3, clock)
    for who in "abcad":
        penalties.count(who)
    assert [who for who in "abcd" if penalties.is_blocked(who)] == ["a", "c", "d"]


# Who is slowed down by wrong passwords


class Address:
    """Tries passwords at a guard from one address, and tells how many were looked at."""

    def __init__(self, guard: Guard, name: str = "a") -> None:
        self.guard = guard
        self.name = name

    def is_let_in(self, device: str, client_id: str | None) -> bool:
        """Try a right password."""
        if self.guard.is_throttled(self.name, device, client_id):
            return False
        self.guard.succeeded(self.name, device, client_id)
        return True

    def looked_at(self, device: str, password: str, client_id: str | None = None) -> int:
        """Try a wrong password."""
        if self.guard.is_throttled(self.name, device, client_id):
            return 0
        self.guard.failed(self.name, device, client_id, password.encode())
        return 1


def different() -> Iterator[str]:
    return map(str, count())


def same() -> Iterator[str]:
    while True:
        yield "same"


@pytest.mark.parametrize(("names", "passwords"), [(same, different), (different, same), (different, different)])
def test_who_guesses_on_gets_one_guess_in_ten_minutes_whatever_is_changed(
    clock: Clock, names: Callable[[], Iterator[str]], passwords: Callable[[], Iterator[str]]
) -> None:
    guard = Guard(Limits(), clock)
    address, name, password = Address(guard), names(), passwords()
    days = [sum(_tries_each_second(clock, address, name, password)) for _ in range(2)]
    assert days[0] <= 170
    assert days[1] <= 144
    # Hours later there is room for others' typing errors again.
    clock.now_s += 3 * 3600
    assert address.looked_at("new", "typing error")
    assert address.is_let_in("new", "till-new")


def _tries_each_second(clock: Clock, address: Address, names: Iterator[str], passwords: Iterator[str]) -> Iterator[int]:
    for _ in range(DAY_S):
        clock.now_s += 1
        yield address.looked_at(next(names), next(passwords))


def test_a_till_that_has_been_in_minds_nothing_that_others_do_at_its_address(clock: Clock) -> None:
    guard = Guard(Limits(), clock)
    address = Address(guard)
    assert address.is_let_in("A1", "till-A1-7f3a")
    for at in range(1000):
        address.looked_at("A1", f"{at}", "guesser")
        address.looked_at(f"B{at}", f"{at}")
    assert address.is_let_in("A1", "till-A1-7f3a")
    # As a newcomer, even with the right password, it has to wait.
    assert not address.is_let_in("A1", "new")
    assert not address.is_let_in("A1", None)
    assert not address.is_let_in("C1", "till-A1-7f3a")
    assert Address(guard, "b").is_let_in("A1", "new")


def test_a_till_that_has_been_in_is_slowed_down_by_what_it_does_wrong_itself(clock: Clock) -> None:
    address = Address(Guard(Limits(), clock))
    address.is_let_in("A1", "till-A1")
    for at in range(3600):
        address.looked_at("A1", f"{at}", "till-A1")
        clock.now_s += 1
    looked_at = 0
    for at in range(3600):
        looked_at += address.looked_at("A1", f"{at}", "till-A1")
        clock.now_s += 1
    assert looked_at == 60


def test_a_client_id_that_the_broker_made_up_proves_nothing(clock: Clock) -> None:
    address = Address(Guard(Limits(guesses_free=0), clock))
    address.is_let_in("A1", None)
    address.looked_at("B1", "x")
    assert not address.is_let_in("A1", None)


def test_of_a_device_so_many_client_ids_are_remembered_and_a_tool_with_new_ones_forgets_no_other_device(
    clock: Clock,
) -> None:
    address = Address(Guard(Limits(guesses_free=0, remembered_max=2), clock))
    for client_id in ("1", "2", "1", "3", "4", "5"):
        address.is_let_in("A1", client_id)
    address.is_let_in("B1", "till")
    for at in range(100):
        address.is_let_in("A1", f"tool-{at}")
    address.is_let_in("A1", "6")
    address.looked_at("C1", "x")
    assert address.is_let_in("B1", "till")
    assert [client_id for client_id in ("1", "tool-99", "6") if address.is_let_in("A1", client_id)] == ["tool-99", "6"]


def test_tills_with_an_old_password_keep_no_newcomer_out(clock: Clock) -> None:
    """Nobody corrects them for a day, they try every second, and a till that never was here before comes any time."""
    address = Address(Guard(Limits(), clock))
    tries = 0
    for _ in range(DAY_S // 60):
        for _ in range(60):
            tries += sum(address.looked_at(device, "old") for device in ("old-1", "old-2", "old-3"))
            clock.now_s += 1
        assert not address.guard.is_throttled("a", "new", "till-new")
    assert tries < 3 * (12 + 24 * 60)


def test_a_guesser_makes_nobody_forget_what_an_old_till_tries_again_and_again(clock: Clock) -> None:
    guard = Guard(Limits(guesses_free=1, guess_first_s=1, guess_most_s=1, remembered_max=100), clock)
    address, guesser = Address(guard), Address(guard, "guesser")
    guesses = 0
    for at in range(600):
        address.looked_at("old", "old")
        guesses += guesser.looked_at(f"A{at}", f"{at}")
        assert not guard.is_throttled("a", "new", None)
        clock.now_s += 1
    assert guesses > 500
