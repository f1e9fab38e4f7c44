"""`receipt`: what became of a receipt."""

from typing import Annotated, Any

import typer
from rich.table import Table

from appliance.cli import asking
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_FOUND, Failure
from appliance.cli.screen import legible, local, money, print_json, screen
from appliance.ledger import report

app = typer.Typer(help="Receipts, and what became of them.", no_args_is_help=True)

_DONE = {"confirmed": "is on paper", "fenced": "is on paper", "delivered": "was sent"}


@app.command()
def show(
    receipt: Annotated[str, typer.Argument(help="The receipt's id, or its number: then the newest one of it.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show a receipt, how it was paid, what came back of it, and what was printed.

    Example: stock-coordinator receipt show A1-000123
    """
    directory = settings_from(config).data_dir
    rows = list(asking.rows(directory, "receipts", lambda reader: report.receipts(reader, receipt), name=receipt))
    if not rows:
        raise Failure(f"no receipt has the id or the number {receipt!r}", NOT_FOUND)
    if as_json:
        print_json(*rows)
        return
    newest, *others = rows
    _tell(newest)
    if others:
        print(f"the number was given before, to {', '.join(row['receipt'] for row in others)}")


def _tell(row: dict[str, Any]) -> None:
    sheet: dict[str, Any] = row["sheet"] or {}
    number = f", number {legible(row['number'])}" if row["number"] else ""
    print(f"{row['kind']} {row['receipt']}{number}: {row['state']} by {row['device']} at {local(row['at'])}")
    who = [f"{name} {legible(str(sheet[name]))}" for name in ("cashier", "table") if sheet.get(name)]
    if who:
        print(", ".join(who))
    if sheet:
        screen().print(_lines(sheet))
    else:
        print("its text is no longer kept")
    for payment in row["payments"]:
        print(f"paid at {payment['device']} at {local(payment['at'])}, revision {payment['rev']}")
    for returned in row["returned"]:
        print(f"came back: {returned['qty']} of {legible(returned['sku'])}")
    for job in row["prints"]:
        reason = f": {legible(job['reason'])}" if job["reason"] else ""
        print(f"job {job['job']} on {job['printer']} {_DONE.get(job['state'], 'is ' + job['state'])}{reason}")


def _lines(sheet: dict[str, Any]) -> Table:
    table = Table(box=None)
    table.add_column("qty", justify="right")
    table.add_column("what", overflow="fold")
    table.add_column("amount", justify="right")
    for line in sheet.get("lines") or ():
        amount = line.get("amount_minor")
        name = line.get("name") or line["sku"]
        table.add_row(str(line["qty"]), legible(name), "" if amount is None else money(amount))
    if (total := sheet.get("total_minor")) is not None:
        table.add_row("", "total", f"{money(total)} {sheet.get('currency') or ''}".rstrip())
    return table
