"""`broker`: what the owner of a broker must tell it."""

import typer

from appliance.broker.external.acl import acl_file
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.contract.topics import Topics
from appliance.settings import variable

app = typer.Typer(help="What a broker that the shop already has must be told.", no_args_is_help=True)


@app.command()
def acl(config: Config = None) -> None:
    """Print the ACL file for the shop's mosquitto: each device under its own name, the coordinator everywhere.

    Example: stock-coordinator broker acl | sudo tee /etc/mosquitto/stock.acl
    """
    settings = settings_from(config)
    user = settings.broker.user
    if not user or not user.isprintable() or user != user.strip():
        name = variable("broker", "user")
        raise Failure(f"{name} is {user!r}: set it to the user name, on one line, that the coordinator has there")
    print(acl_file(Topics(settings.shop), user), end="")
