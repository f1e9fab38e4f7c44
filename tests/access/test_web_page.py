"""A till that is a web page, in a browser that checks certificates, sells over a WebSocket by its slip."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.slip import parse_slip
from scripts import processes
from tests.access import browser
from tests.access.authority import Authority
from tests.access.test_devices import slip_of, tls_box
from tests.box import Box

SALE = {
    "epoch": "5f0c9b1e-7a53-4d0e-9d0f-000000000001",
    "seq": 1,
    "type": "move",
    "sku": "milk",
    "qty": "-1",
    "reason": "sale",
}


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def port() -> int:
    return processes.free_port()


@pytest.fixture
def box(tmp_path: Path, authority: Authority, port: int) -> Iterator[Box]:
    certificate, key = authority.issue(tmp_path, "127.0.0.1")
    with tls_box(
        tmp_path / "data",
        STOCK_BROKER__CERTIFICATE=str(certificate),
        STOCK_BROKER__KEY=str(key),
        STOCK_BROKER__WEBSOCKET_PORT=str(port),
    ) as box:
        yield box


def order(slip: str, port: int) -> dict[str, Any]:
    says = parse_slip(slip)
    return {
        "url": f"wss://127.0.0.1:{port}",
        "shop": says.shop,
        "device": says.device,
        "password": says.token,
        "operation": SALE,
    }


def test_a_web_page_sells_by_its_slip(box: Box, tmp_path: Path, authority: Authority, port: int) -> None:
    (tmp_path / "authority.pem").write_text(authority.pem)
    browser.trust(tmp_path / "home", tmp_path / "authority.pem")
    heard = browser.heard_by_page(tmp_path / "home", order(slip_of(box), port))
    assert (heard["ack"]["seq"], heard["balance"]["on_hand"]) == (1, "-1")


def test_a_browser_that_does_not_trust_the_certificate_says_nothing_to_the_box(
    box: Box, tmp_path: Path, port: int
) -> None:
    heard = browser.heard_by_page(tmp_path / "home", order(slip_of(box), port))
    assert "error" in heard
    assert "device-connected" not in box.log.read_text()


def test_a_page_without_its_library_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(browser._FILES, "/mqtt.min.js", (tmp_path / "mqtt.min.js", "text/javascript"))
    with pytest.raises(AssertionError, match=r"mqtt\.min\.js is missing: run scripts/setup"):
        browser.heard_by_page(tmp_path, {})


def test_the_doctor_knocks_at_the_port_of_web_pages_too(box: Box, port: int) -> None:
    assert f"port {port} answers" in box.command("doctor").stdout
