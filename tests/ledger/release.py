"""Keeps a busy shop's ledger as this release writes it, for all later ones to open: `python -m tests.ledger.release`.

It is SQL text, `released/VERSION.sql`, so that a change shows in a diff. A version that is released is never made anew.
"""

import io
import tempfile
from contextlib import closing
from pathlib import Path

import apsw
import apsw.shell

from appliance import __version__
from appliance.ledger.database import FILE_NAME, open_database
from tests.ledger.busy import live

RELEASED = Path(__file__).with_name("released")


def text() -> str:
    """Return a busy shop's ledger, and the schema's version, as SQL."""
    with tempfile.TemporaryDirectory() as directory:
        live(Path(directory))
        with closing(open_database(Path(directory) / FILE_NAME, writable=False)) as connection:
            version = connection.pragma("user_version")
            dump = io.StringIO()
            apsw.shell.Shell(stdout=dump, db=connection).process_command(".dump")  # type: ignore[no-untyped-call]
    lines = [line for line in dump.getvalue().splitlines() if line and not line.startswith("--")]
    return "\n".join([*(line for line in lines if "user_version" not in line), f"PRAGMA user_version={version};", ""])


def database(sql: Path, directory: Path) -> Path:
    """Make the ledger that a release left in `directory`; return its file."""
    path = directory / FILE_NAME
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("auto_vacuum", 2)
        connection.pragma("journal_mode", "wal")
        connection.execute(sql.read_text(encoding="utf-8"))
    return path


if __name__ == "__main__":
    (RELEASED / f"{__version__}.sql").write_text(text(), encoding="utf-8")
