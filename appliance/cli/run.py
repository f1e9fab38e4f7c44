"""`run`: the box itself, in the foreground; systemd and a person start it alike."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from appliance.app import CannotStart, Started, serve
from appliance.app.entrance import complain_of_open_files
from appliance.app.memory import give_back_what_is_large
from appliance.broker.embedded import CannotListen, TooFewDescriptors, WrongVersion
from appliance.broker.external import ForeignRun
from appliance.cli import journal
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.control import ControlError
from appliance.ledger.database import DiskFault, LedgerError
from appliance.settings import Mode, files_with_secrets, is_journal, service_manager, variable

_WELCOME = """
The shop "{shop}" is open {at} {host} port {port}.

{login}

Watch the balances and the changes, in one terminal:

  mosquitto_sub -h {host} -p {port} -u screen -P '{shown}' -v \\
    -t 'stock/v1/{shop}/balance/+' -t 'stock/v1/{shop}/changes'

and sell one piece of A, in another (a device reads only its own ack, so this one is till-1 too). The last command
may be repeated: the same sale counts once. Another sale is another SALE.

  mosquitto_sub -h {host} -p {port} -u till-1 -P '{shown}' -v -t 'stock/v1/{shop}/device/till-1/ack' &
  SALE='{{"epoch":"'$(cat /proc/sys/kernel/random/uuid)'","seq":1,"type":"move","sku":"A","qty":"-1","reason":"sale"}}'
  mosquitto_pub -h {host} -p {port} -u till-1 -P '{shown}' -q 1 -t 'stock/v1/{shop}/device/till-1/op' -m "$SALE"

{devices}
Ctrl-C stops the box.
"""

_WELCOME_BY_SLIP = """
The shop "{shop}" is open {at} {host} port {port}.

Only devices with a token of their own come in. {devices}
Ctrl-C stops the box.
"""

_PORTS = {"plain": "port", "tls": "tls_port", "websocket": "websocket_port"}

TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Start at an external broker although another coordinator is alive there.")
]


def run(config: Config = None, take_over: TakeOver = False) -> None:
    """Run the coordinator until SIGTERM or Ctrl-C.

    Example: stock-coordinator run --config stock-coordinator.toml
    """
    settings = settings_from(config)
    journal.set_up()
    give_back_what_is_large()
    complain_of_open_files(files_with_secrets(config))
    try:
        asyncio.run(
            serve(
                settings,
                command=lambda *words: [sys.executable, "-m", "appliance", *words, *_config(config)],
                may_show_password=not is_journal(),
                take_over=take_over,
                manager=service_manager(),
                started=_welcome,
            )
        )
    except CannotListen as error:
        raise Failure(f"{error}; {variable('broker', _PORTS[error.kind])} sets the port") from error
    except (CannotStart, TooFewDescriptors, ForeignRun, WrongVersion, ControlError, LedgerError, DiskFault) as error:
        raise Failure(str(error)) from error


def _config(config: Path | None) -> list[str]:
    return [] if config is None else ["--config", str(config)]


def _welcome(box: Started) -> None:
    if box.mode is Mode.EXTERNAL:
        at, shown = "at the broker on", "ITS-PASSWORD"
        login = "There, screen and till-1 stand for two users, and ITS-PASSWORD for what each logs in with."
        devices = "A device is the user of its name; the broker's ACL must keep each to its own topics."
    else:
        at, shown = "on", box.new_password or "THE-SHOP-PASSWORD"
        login = f"Its password, shown this once and kept only as a hash:  {box.new_password}"
        if box.new_password is None:
            login = f"THE-SHOP-PASSWORD is the one that it has; {variable('password')} sets another at a start."
        devices = "Any device name of A-Z, a-z, 0-9 and - may log in with the shop's password."
        if box.tls_port:
            slip = f"By TLS on port {box.tls_port}; this makes a till's slip: stock-coordinator device add A1"
            devices = slip if box.tokens_only else f"{devices}\n{slip}"
    host = "127.0.0.1" if box.host == "0.0.0.0" else box.host  # noqa: S104  compared, not bound
    values = {"at": at, "shop": box.shop, "host": host, "port": box.port, "shown": shown}
    welcome = _WELCOME_BY_SLIP if box.tokens_only else _WELCOME
    print(welcome.format(**values, login=login, devices=devices), flush=True)
