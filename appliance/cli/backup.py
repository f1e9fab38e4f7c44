"""`backup`: copying the ledger while the shop sells, and putting a copy into its place when the card has failed."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress
from rich.table import Table

from appliance import __version__
from appliance.access import password
from appliance.app.ownership import own
from appliance.app.refusal import CannotStart
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_FOUND, Failure
from appliance.cli.screen import legible, local, print_json, screen
from appliance.ledger.backup import Backup, BackupError, make_backup, read_backup
from appliance.ledger.database import LedgerError
from appliance.ledger.medium import Medium
from appliance.ledger.restore import Restored, restore_backup
from appliance.ledger.verify import Told
from appliance.settings import variable
from appliance.stock.stamps import rfc3339

CARRIED = (password.FILE_NAME,)
"""What makes a new box the old one. None of it lets anybody in: a password is kept as its hash."""

app = typer.Typer(help="Copies of the ledger: make one, list those kept, restore one.", no_args_is_help=True)


@app.command()
def make(
    file: Annotated[Path, typer.Argument(help="The new file.")], as_json: AsJson = False, config: Config = None
) -> None:
    """Copy the ledger into a new file, beside a running coordinator too, and check the copy.

    Example: stock-coordinator backup make /media/stick/shop.backup
    """
    directory = settings_from(config).data_dir
    carried = {path.name: path.read_bytes() for name in CARRIED if (path := directory / name).exists()}
    try:
        with _progress(as_json) as told:
            backup = make_backup(
                directory, file, carried=carried, made_ms=time.time_ns() // 1_000_000, version=__version__, told=told
            )
    except (BackupError, LedgerError) as error:
        raise Failure(str(error)) from error
    if as_json:
        print_json(_row(backup))
    else:
        print(f"made and checked: {file}, revision {backup.rev}, {decimal(backup.size_bytes)}")


@app.command("list")
def show(as_json: AsJson = False, config: Config = None) -> None:
    """Show the copies on the second medium, the oldest first.

    Example: stock-coordinator backup list
    """
    settings = settings_from(config)
    if settings.backup.dir is None:
        raise Failure(f"{variable('backup', 'dir')} is not set: copies made elsewhere are not listed", NOT_FOUND)
    medium = Medium(settings.backup.dir, settings.shop, settings.data_dir)
    if fault := medium.fault():
        raise Failure(fault)
    table = Table(box=None)
    for column in ("file", "made", "revision", "size"):
        table.add_column(column, overflow="fold")
    for path in medium.copies():
        try:
            backup = read_backup(path)
        except BackupError as error:
            row: dict[str, object] = {"file": str(path), "error": str(error)}
            table.add_row(legible(str(path)), legible(str(error)))
        else:
            row = _row(backup)
            made = local(rfc3339(backup.made_ms))
            table.add_row(legible(str(path)), made, str(backup.rev), decimal(backup.size_bytes))
        if as_json:
            print_json(row)
    if not as_json:
        screen().print(table)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Restore it although tills cannot heal it, or over another ledger.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put a backup into the ledger's place; the service must be down. The former ledger is kept beside it.

    Example: stock-coordinator backup restore /media/stick/shop-000041.backup
    """
    settings = settings_from(config)
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with ExitStack() as held:
        try:
            directory = own(settings.data_dir, held)
            with _progress(as_json) as told:
                restored = restore_backup(
                    file, directory, shop=settings.shop, carried=CARRIED, force=force, now=now, told=told
                )
        except (CannotStart, BackupError) as error:
            raise Failure(str(error)) from error
    if as_json:
        aside = None if restored.aside is None else str(restored.aside)
        print_json({**_row(restored.backup), "aside": aside, "warning": restored.warning})
    else:
        _tell(restored)


def _tell(restored: Restored) -> None:
    backup = restored.backup
    print(f"restored and checked: revision {backup.rev} of {local(rfc3339(backup.made_ms))}")
    if restored.aside is not None:
        print(f"the former ledger is in {restored.aside}: delete it when nothing is missing")
    if restored.carried:
        print(f"and with it came {', '.join(restored.carried)}")
    if not restored.has_digest:
        print("there was no .sha256 beside it, so only the ledger's own rules were checked")
    if restored.warning:
        print(f"attention: {restored.warning}", file=sys.stderr)
    print("start the coordinator: the tills bring what they sold since then")


def _row(backup: Backup) -> dict[str, object]:
    return {
        "file": str(backup.path),
        "shop": backup.shop,
        "ledger": backup.ledger,
        "rev": backup.rev,
        "made": rfc3339(backup.made_ms),
        "version": backup.version,
        "size_bytes": backup.size_bytes,
    }


@contextmanager
def _progress(as_json: bool) -> Iterator[Told]:
    """A bar on standard error, and only on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda step, done, total: progress.update(task, description=step, completed=done, total=total)
