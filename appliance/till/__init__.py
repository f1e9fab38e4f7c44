"""The reference device: a till that sells whether or not anybody hears it, and says everything exactly once.

    from pathlib import Path
    from appliance.till import Till

    with Till(host="127.0.0.1", port=1883, shop="shop", device="A1", password="…", path=Path("A1.outbox")) as till:
        till.item("4607001234567", name="Молоко 3,2 % 1 л", unit="pcs", price_minor=8990)
        till.receive("4607001234567", "20")
        till.sell("4607001234567", "2")  # On disk when this returns, with or without a network.
        if not till.wait_acked(5):
            print(till.pending, "operations wait for the coordinator:", till.fault)
        print(till.balance("4607001234567").text)  # "18", or "18, A2 not seen for 28 min".

    till ─▶ drafts (checked) ─▶ outbox (on disk) ─▶ session (the protocol) ─▶ MQTT
                                                       │
    screen ◀── view (the coordinator's + own unacked) ◀┘

README.md has the rules in the order in which a port implements them.
"""

from appliance.till.freshness import Freshness, Unheard
from appliance.till.heard import Alert, CatalogueItem, FoundReceipt, HistoryEntry
from appliance.till.inquiry import NoAnswer
from appliance.till.outbox import Made, OutboxError, Rejected
from appliance.till.till import Counting, Till
from appliance.till.view import LocalBalance

__all__ = [
    "Alert",
    "CatalogueItem",
    "Counting",
    "FoundReceipt",
    "Freshness",
    "HistoryEntry",
    "LocalBalance",
    "Made",
    "NoAnswer",
    "OutboxError",
    "Rejected",
    "Till",
    "Unheard",
]
