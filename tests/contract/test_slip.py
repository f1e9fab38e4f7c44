"""The slip's URL: written, it is read back, also by a parser that knows nothing of it; and its secret stays in it."""

import re
import string
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.slip import HOST_MAX, BadSlip, Slip, format_slip, grouped, is_host, parse_slip
from tests.contract.golden import CONTRACT

README = CONTRACT / "README.md"
TOKEN = "k7mqwx9d3htnf4pz"
SLIP = Slip(("192.0.2.7", "stock.local"), 8883, "shop", "A1", TOKEN, bytes(range(32)))
URL = f"stock://A1:{TOKEN}@192.0.2.7:8883/shop?also=stock.local&sha256={bytes(range(32)).hex()}"

names = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=64)
hosts = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(rf"[a-z0-9]([a-z0-9.-]{{0,{HOST_MAX - 2}}}[a-z0-9])?", fullmatch=True),
)
slips = st.builds(
    Slip,
    st.lists(hosts, min_size=1, max_size=4).map(tuple),
    st.integers(1, 65535),
    names,
    names,
    names,
    st.binary(min_size=32, max_size=32),
)


@given(slips)
def test_what_is_written_is_read_back(slip: Slip) -> None:
    assert parse_slip(format_slip(slip)) == slip


@given(slips)
def test_any_url_library_reads_it(slip: Slip) -> None:
    url = urlsplit(format_slip(slip))
    query = parse_qs(url.query)
    assert (url.username, url.password, url.port, url.path) == (slip.device, slip.token, slip.port, f"/{slip.shop}")
    assert [url.hostname, *query.get("also", [])] == list(slip.hosts)
    assert query["sha256"] == [slip.sha256.hex()]


def test_it_looks_as_the_contract_shows_it() -> None:
    assert format_slip(SLIP) == URL
    assert parse_slip(f"  {URL}&later=1\n") == SLIP


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("stock://", "https://", "stock://"),
        (":8883", "", "port"),
        (":8883", ":0", "port"),
        (":8883", ":88830", "address"),
        ("192.0.2.7", "", "host"),
        ("192.0.2.7", "[::1", "address"),
        ("192.0.2.7", "a_b", "host"),
        ("also=stock.local", "also=", "host"),
        ("also=stock.local", "also=a&also=b&also=c&also=d", "host"),
        ("A1:", "A 1:", "name"),
        ("/shop", "/", "name"),
        ("/shop", "/shop/more", "name"),
        (f":{TOKEN}", "", "token"),
        ("sha256=", "md5=", "sha256"),
        ("sha256=00", "sha256=", "sha256"),
        ("&sha256", f"&sha256={'00' * 32}&sha256", "sha256"),
    ],
)
def test_what_is_no_slip_is_named_without_its_token(old: str, new: str, word: str) -> None:
    assert old in URL
    with pytest.raises(BadSlip, match=word) as caught:
        parse_slip(URL.replace(old, new))
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_slip_without_an_address_is_not_written() -> None:
    with pytest.raises(BadSlip):
        format_slip(Slip((), 8883, "shop", "A1", TOKEN, bytes(32)))


def test_a_slip_shows_its_token_to_no_log() -> None:
    assert TOKEN not in repr(SLIP)


def test_a_person_reads_groups_of_four() -> None:
    assert grouped("k7mqwx9d3h") == "k7mq wx9d 3h"


def test_an_address_is_a_name_or_an_ip_address() -> None:
    assert all(map(is_host, ("stock.local", "192.0.2.7", "2001:db8::1", "a")))
    assert not any(map(is_host, ("", "-a", "a b", "Stock.local", "fe80::1%eth0", "1:2", "a" * 65)))
    assert ip_address("2001:db8::1").version == 6


def test_the_contracts_example_is_one() -> None:
    shown = re.search(r"^    (stock://A1:.*?) +\(one line\)$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert shown is not None
    slip = parse_slip(re.sub(r"\s", "", shown[1]))
    assert (slip.hosts, slip.port, slip.device, len(slip.token)) == (("192.0.2.7", "stock.local"), 8883, "A1", 52)
