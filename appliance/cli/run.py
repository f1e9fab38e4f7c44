"""`run`: the box itself, in the foreground; systemd and a person start it alike."""

import asyncio
import logging
from typing import Annotated

import typer

from appliance.app import CannotStart, Started, serve
from appliance.broker.embedded import CannotListen, WrongVersion
from appliance.broker.external import ForeignRun
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.control import ControlError
from appliance.ledger.database import DiskFault, LedgerError
from appliance.settings import is_journal

_WELCOME = """
The shop "{shop}" is open on {host} port {port}.
{password}
Watch the balances and the acks, in one terminal:

  mosquitto_sub -h {host} -p {port} -u screen -P '{shown}' -v \\
    -t 'stock/v1/{shop}/balance/+' -t 'stock/v1/{shop}/changes'

and sell one piece of A, in another (a device reads only its own ack, so this one is till-1 too):

  mosquitto_sub -h {host} -p {port} -u till-1 -P '{shown}' -v -t 'stock/v1/{shop}/device/till-1/ack' &
  mosquitto_pub -h {host} -p {port} -u till-1 -P '{shown}' -q 1 -t 'stock/v1/{shop}/device/till-1/op' \\
    -m '{{"epoch":"'$(cat /proc/sys/kernel/random/uuid)'","seq":1,"type":"move","sku":"A","qty":"-1","reason":"sale"}}'

Any device name of A-Z, a-z, 0-9 and - may log in with the shop's password. Ctrl-C stops the box.
"""


TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Start at an external broker although another coordinator is alive there.")
]


def run(config: Config = None, take_over: TakeOver = False) -> None:
    """Run the coordinator until SIGTERM or Ctrl-C."""
    settings = settings_from(config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for inside in ("amqtt", "transitions"):  # Their INFO is about themselves, not about the shop.
        logging.getLogger(inside).setLevel(logging.WARNING)
    try:
        asyncio.run(serve(settings, may_show_password=not is_journal(), take_over=take_over, started=_welcome))
    except (CannotStart, CannotListen, ForeignRun, WrongVersion, ControlError, LedgerError, DiskFault) as error:
        raise Failure(str(error)) from error


def _welcome(box: Started) -> None:
    password = (
        f"\nIts password, shown this once and kept only as a hash:  {box.new_password}\n" if box.new_password else ""
    )
    shown = box.new_password or "THE-SHOP-PASSWORD"
    host = "127.0.0.1" if box.host == "0.0.0.0" else box.host  # noqa: S104  compared, not bound
    print(_WELCOME.format(shop=box.shop, host=host, port=box.port, password=password, shown=shown), flush=True)
