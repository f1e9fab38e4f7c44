"""How many connections there may be, and who has to go."""

from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.places import Places


def test_connections_are_limited_in_total_and_by_address() -> None:
    places = Places[str](Limits(connections_max=3, connections_per_address_max=2))

    def come(who: str, address: str) -> bool:
        assert places.knock(who, address) is None
        return places.enter(who, who)

    assert [come(who, "a") for who in ("a1", "a2", "a3")] == [True, True, False]
    assert [come("b1", "b"), come("c1", "c")] == [True, False]
    places.leave("a1")
    assert [come("c2", "c"), come("c3", "c")] == [True, False]
    for who in ("a2", "b1", "c1", "c2", "c3", "a3"):
        places.leave(who)
    assert [come(who, "a") for who in ("a1", "a2")] == [True, True]


def test_one_device_does_not_take_every_place() -> None:
    places = Places[str](Limits(connections_per_device_max=2))
    coming = ["1", "2", "3", "other"]
    for who in coming:
        places.knock(who, "a")
    assert [places.enter(who, "A2" if who == "other" else "A1") for who in coming] == [True, True, False, True]
    places.leave("1")
    places.knock("4", "b")
    assert places.enter("4", "A1")


def test_one_stranger_too_many_and_the_one_that_came_first_has_to_go() -> None:
    places = Places[str](Limits(strangers_max=2))
    assert [places.knock(who, "a") for who in ("1", "2", "3", "4")] == [None, None, "1", "2"]
    assert places.enter("3", "A1")
    places.leave("4")
    assert [places.knock(who, "a") for who in ("5", "6", "7")] == [None, None, "5"]


def test_a_flood_from_one_address_pushes_out_nobody_of_another() -> None:
    places = Places[str](Limits(strangers_max=3))
    assert places.knock("till", "b") is None
    assert [places.knock(f"{at}", "a") for at in range(100)] == [None, None, *(f"{at}" for at in range(98))]
    assert places.enter("till", "A1")


def test_one_that_had_to_go_and_proves_itself_too_late_has_no_place() -> None:
    places = Places[str](Limits(strangers_max=1))
    assert [places.knock(who, "a") for who in ("1", "2")] == [None, "1"]
    assert not places.enter("1", "A1")
    places.leave("1")
    assert places.enter("2", "A1")
