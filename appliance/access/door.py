"""What every log-in asks: a device with a token comes in with it alone, the others with the shop's password."""

from appliance.access.password import ShopPassword
from appliance.access.tokens import Tokens


class Door:
    """password: the shop's; None when only tokens let a device in."""

    def __init__(self, tokens: Tokens, password: ShopPassword | None) -> None:
        self._tokens = tokens
        self._password = password

    def is_token(self, user: str, password: bytes) -> bool:
        """Return whether this is the device's own token."""
        return self._tokens.is_right(user, password)

    async def authenticate(self, user: str, password: bytes) -> bool:
        """Return whether a device may log in."""
        if self._tokens.has(user):
            return self._tokens.is_right(user, password)
        if self._password is None or not await self._password.authenticate(user, password):
            return False
        # It may have got a token while its password was hashed; who changes tokens cuts off whoever is in by then.
        return not self._tokens.has(user)
