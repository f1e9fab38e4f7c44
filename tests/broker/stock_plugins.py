"""The plugins with which a shop would have tried to make the stock broker safe; `running.Stock` loads them by name."""

import asyncio
from typing import ClassVar

from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session


class PasswordPlugin(BaseAuthPlugin):
    """The shop's password."""

    async def authenticate(self, *, session: Session) -> bool | None:
        return session.password == "secret"


class OwnTopicsPlugin(BaseTopicPlugin):
    """A device publishes below its own name only."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        assert session is not None
        return action is not Action.PUBLISH or f"/device/{session.username}/" in (topic or "")


class SlowTopicsPlugin(BaseTopicPlugin):
    """Asks something else whether a message may be received, as a plugin with a database does."""

    may_answer: ClassVar[asyncio.Event]
    asked: ClassVar[asyncio.Event]

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        if action is Action.RECEIVE:
            self.asked.set()
            await self.may_answer.wait()
        return True
