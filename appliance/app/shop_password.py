"""The shop's password, changed by a person while the shop sells: it counts from the next log-in on."""

import logging
from collections.abc import Sequence
from typing import Any

from appliance.access.password import ShopPassword
from appliance.app.first_slip import FirstSlip
from appliance.control import ControlError, Handler, Rows
from appliance.settings import Settings, variable

log = logging.getLogger(__name__)


def password_handlers(
    settings: Settings, password: ShopPassword | None, first_slips: Sequence[FirstSlip]
) -> dict[str, Handler]:
    """What the control socket answers. password: None when only tokens let a device in."""

    def change(request: dict[str, Any]) -> Rows:
        if password is None:
            raise ControlError("the shop has no password, only devices with a token come in: see `device add`")
        if settings.password is not None and settings.password.get_secret_value():
            raise ControlError(
                f"the password is set by {variable('password')}, which would set it back at the next start: change it "
                "there, or take it out, and restart"
            )
        password.set(str(request["password"]))
        log.info("the shop's password was changed")
        # Asked after the change: a sheet that ends only now finds it, and says so itself.
        yield {"changed": True, "is_slip_worthless": any(first.is_sheet_at_stake for first in first_slips)}

    return {"password": change}
