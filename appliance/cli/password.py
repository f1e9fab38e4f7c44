"""`password`: the shop's, with which devices without a token of their own log in.

It never goes through a command's arguments, which every user of the machine can read: a person types it at a prompt
that does not show it, and a script hands it on by standard input.
"""

import sys

import typer

from appliance.cli import asking
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure

app = typer.Typer(help="The password of the shop.", no_args_is_help=True)

_BYTES_MAX = 256
"""Bytes: more than anybody types, and far below what a CONNECT may carry."""


@app.command("set")
def change(config: Config = None) -> None:
    """Set another password. It counts from the next log-in on; who is in stays in.

    Example: stock-coordinator password set

    In a script: stock-coordinator password set < file
    """
    settings = settings_from(config)
    if sys.stdin.isatty():
        password = str(typer.prompt("The shop's new password", hide_input=True, confirmation_prompt="Once more"))
    else:
        # Not as text: how Python reads that depends on the locale, and a till sends UTF-8 in any.
        try:
            password = sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Failure("the password is no UTF-8 text: nothing was changed") from None
    if not password.strip():
        raise Failure("the password is empty: nothing was changed")
    if len(password.encode()) > _BYTES_MAX:
        raise Failure(f"the password has more than {_BYTES_MAX} bytes: nothing was changed")
    [row] = asking.running(settings.data_dir, "password", password=password)
    print("changed: devices without a token log in with it from now on")
    if row["is_slip_worthless"]:
        print("a first slip was being printed: the password on that sheet lets nobody in, so destroy it")
