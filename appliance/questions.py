"""Devices' questions: each is answered with one page of the ledger.

    link ──Delivery──▶ take ──▶ answer: a reader's page ──▶ link

Beside the turns and never in their way: it only reads. `answer` is a plain function and a thread only calls it. The
invariant: whatever a device asks, it is answered; also when the answer was twice the end of this program.
"""

from collections import deque
from collections.abc import Callable
from threading import Event

from appliance.contract import messages
from appliance.contract.delivery import Delivery
from appliance.contract.messages import BadQuery, Query, What
from appliance.contract.topics import Topics
from appliance.ports import Hand, Link, Pages
from appliance.stock import alerts
from appliance.stock.alerts import Raised

QUESTIONS_MAX = 1000
"""Queries that may wait. Twenty tills that come back at once ask twenty; beyond this a device is told `busy`."""


class Questions:
    """notice: has an alert raised."""

    def __init__(
        self,
        *,
        topics: Topics,
        speaker: messages.Coordinator,
        pages: Pages,
        link: Link,
        hand: Hand,
        notice: Callable[[Raised], None],
    ) -> None:
        self._topics = topics
        self._speaker = speaker
        self._pages = pages
        self._link = link
        self._hand = hand
        self._notice = notice
        self._waiting: deque[Delivery] = deque()
        self.has_any = Event()
        """Set when there is something to answer. Whoever waits clears it, and only then calls `answer`."""

    def take(self, delivery: Delivery) -> None:
        """Accept one question. Never blocks; may be called from any thread."""
        if len(self._waiting) < QUESTIONS_MAX:
            self._waiting.append(delivery)
            self.has_any.set()
        else:
            self._say(delivery, BadQuery(None, "busy", "too many questions wait: ask again later").payload)

    def answer(self) -> int:
        """Answer the questions that wait; return how many that were."""
        count = len(self._waiting)
        for _ in range(count):
            delivery = self._waiting.popleft()
            try:
                answer = self._answer(delivery)
            except BadQuery as error:
                answer = error.payload
            self._say(delivery, answer)
            self._hand.ask("")
        return count

    def _answer(self, delivery: Delivery) -> bytes:
        # Neither its id nor where its page begins is in its name: after a restart both are other ones.
        name = f"{delivery.device} asks"
        self._ask(delivery.device, name, None)
        query = messages.read_query(delivery.payload)
        self._ask(delivery.device, f"{name} {query.what} {query.receipt}{query.sku}", query.id)
        return self._page(delivery.device, query)

    def _ask(self, device: str, name: str, asked: str | None) -> None:
        """Take a question in hand. Raises BadQuery for one that was twice the end of this program."""
        self._hand.ask(name)
        if self._hand.is_poison(name):
            self._notice(alerts.internal_again(device, "a question"))
            raise BadQuery(asked, "internal", "the coordinator failed at it twice: a fault of its own")

    def _page(self, device: str, query: Query) -> bytes:
        since = self._pages.known_since(query.run, query.since)
        match query.what:
            case What.BALANCES:
                page = self._pages.balances(since, query.limit)
            case What.ITEMS:
                page = self._pages.items(since, query.limit)
            case What.REJECTED:
                page = self._pages.rejected(device, since, query.limit)
            case What.STALE:
                page = self._pages.stale(since, query.limit)
            case What.RECEIPT:
                page = self._pages.receipt(query.receipt)
            case What.HISTORY:
                page = self._pages.history(query.sku, since, query.limit)
        return messages.answer(query, self._speaker, page.since, page.to, page.rows, more=page.more)

    def _say(self, delivery: Delivery, answer: bytes) -> None:
        self._link.publish(self._topics.device(delivery.device, "answer"), answer, retain=False)
        delivery.settled()
