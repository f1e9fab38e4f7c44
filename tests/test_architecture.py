"""Who may import whom: the rules that let each part be read, tested and replaced alone.

The order of the layers is in pyproject.toml, for import-linter; what it cannot say is checked here on the syntax trees:
what the pure rules may touch, which part may use which third-party package, and who reads the environment. Each rule is
then broken in a package made for it, because a check that cannot fail protects nothing.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

# The pure rules, and the parts of ours that they may import. Time, chance and identifiers are passed in to them.
PURE = {"stock": {"stock"}, "printing.layout": {"printing.layout", "stock"}}

# What there is in the standard library without a clock, randomness, logging or I/O. `datetime` is a type here: its
# clock (CLOCK_CALLS) is refused separately.
PURE_LIBRARY = {
    *("__future__", "abc", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions"),
    *("functools", "hashlib", "heapq", "itertools", "math", "operator", "re", "string", "textwrap", "types", "typing"),
    *("unicodedata",),
}
CLOCK_CALLS = {"now", "today", "utcnow"}
INPUT_OUTPUT_BUILTINS = {"input", "open", "print"}

# These parts use these third-party packages and no others.
THIRD_PARTY_OF: dict[str, set[str]] = {
    "stock": set(),
    "printing.layout": set(),
    "contract": {"orjson"},
    "coordinator": set(),
}

# These packages are used in these parts and nowhere else. The standard library's SQLite is nobody's: Debian 12's lies
# in the range of the WAL-reset corruption.
USERS_OF: dict[str, set[str]] = {
    "amqtt": {"broker"},
    "apsw": {"ledger", "till"},
    "cryptography": {"access"},
    "escpos": {"printing"},
    "openpyxl": {"catalogue"},
    "paho": {"broker.external", "till"},
    "prometheus_client": {"app.metrics"},
    "pydantic_settings": {"settings"},
    "serial": {"printing"},
    "sqlite3": set(),
    "usb": {"printing"},
}

ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
ENVIRONMENT_READER = "settings"

# A file to add to a package that has every part, its source, and what must be said about it.
LAYERS_BROKEN = [
    ("stock/bad.py", "import appliance.ledger", "appliance.stock -> appliance.ledger"),
    ("contract/bad.py", "from appliance import broker", "appliance.contract -> appliance.broker"),
    ("broker/bad.py", "import appliance.ledger", "appliance.broker -> appliance.ledger"),
    ("printing/bad.py", "def f():\n    import appliance.settings", "appliance.printing -> appliance.settings"),
    ("coordinator.py", "import appliance.clock", "appliance.coordinator -> appliance.clock"),
    ("ledger/bad.py", "from appliance.cli import main", "appliance.ledger -> appliance.cli"),
    ("newcomer.py", "", "appliance.newcomer"),
]
USES_BROKEN = [
    ("stock/bad.py", "import random", "stock.bad imports random"),
    ("stock/bad.py", "def f():\n    from time import time", "stock.bad imports time.time"),
    ("stock/bad.py", "import datetime\ndatetime.datetime.now()", "stock.bad asks the clock: now"),
    ("stock/bad.py", "print()", "stock.bad does input or output: print"),
    ("stock/bad.py", "import orjson", "stock.bad imports orjson"),
    ("printing/layout/bad.py", "import appliance.contract", "printing.layout.bad imports appliance.contract"),
    ("contract/bad.py", "import rich.table", "contract.bad imports rich.table"),
    ("coordinator.py", "import orjson", "coordinator imports orjson"),
    ("ledger/bad.py", "from amqtt import broker", "ledger.bad imports amqtt.broker"),
    ("broker/embedded.py", "import paho.mqtt.client", "broker.embedded imports paho.mqtt.client"),
    ("broker/bad.py", "import apsw", "broker.bad imports apsw"),
    ("ledger/bad.py", "import sqlite3", "ledger.bad imports sqlite3"),
    ("till/bad.py", "import serial", "till.bad imports serial"),
    ("app/bad.py", "import os\nos.environ['HOME']", "app.bad reads the environment"),
    ("cli/bad.py", "import os\nos.getenv('HOME')", "cli.bad reads the environment"),
    ("cli/bad.py", "from os import environ, path", "cli.bad reads the environment"),
]


def test_every_import_follows_the_layers() -> None:
    result = lint_imports(CHECKOUT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("path", "source", "complaint"), LAYERS_BROKEN)
def test_an_import_against_the_layers_is_found(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    make_package(tmp_path, path, source)
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    assert complaint in result.stdout.replace("is not allowed to import", "->")


def test_every_part_keeps_to_what_it_may_use() -> None:
    assert complaints(CHECKOUT / "appliance") == []


@pytest.mark.parametrize(("path", "source", "complaint"), USES_BROKEN)
def test_a_use_of_what_a_part_may_not_use_is_found(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    assert complaints(make_package(tmp_path, path, source)) == [complaint]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the `appliance` in this folder by the contracts in its pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def make_package(folder: Path, path: str, source: str) -> Path:
    """Make an `appliance` with every part empty, the project's contracts, and one file; return the package."""
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    package = folder / "appliance"
    parts = ("access", "app", "broker", "cli", "contract", "ledger", "printing/layout", "stock", "till")
    for part in parts:
        (package / part).mkdir(parents=True)
    for directory in [package, *(entry for entry in package.rglob("*") if entry.is_dir())]:
        (directory / "__init__.py").touch()
    for module in ("clock.py", "control.py", "coordinator.py", "settings.py"):
        (package / module).touch()
    (package / path).write_text(source)
    return package


def complaints(package: Path) -> list[str]:
    """Return one sentence for each use of something that a module may not use."""
    found = []
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        found += [f"{name} {complaint}" for complaint in complaints_about(name, ast.parse(path.read_bytes()))]
    return found


def complaints_about(name: str, tree: ast.Module) -> Iterator[str]:
    pure = part_of(name, PURE)
    for node in ast.walk(tree):
        for imported in names_imported(node):
            if imported in ENVIRONMENT and name != ENVIRONMENT_READER:
                yield "reads the environment"
            elif not may_import(name, imported):
                yield f"imports {imported}"
        match node:
            case ast.Call(func=ast.Attribute(attr=method)) if pure and method in CLOCK_CALLS:
                yield f"asks the clock: {method}"
            case ast.Call(func=ast.Name(id=function)) if pure and function in INPUT_OUTPUT_BUILTINS:
                yield f"does input or output: {function}"
            case ast.Attribute() if ast.unparse(node) in ENVIRONMENT and name != ENVIRONMENT_READER:
                yield "reads the environment"


def names_imported(node: ast.AST) -> list[str]:
    """Return the whole names that this node imports; of `from a import b` that is `a.b`."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            return [f"{module}.{alias.name}" for alias in names]
        case ast.ImportFrom():
            raise AssertionError(f"a relative import: {ast.unparse(node)}; write the whole name, as everywhere")
    return []


def may_import(name: str, imported: str) -> bool:
    top = imported.partition(".")[0]
    pure = part_of(name, PURE)
    if top == "appliance":
        return pure is None or part_of(imported.removeprefix("appliance."), PURE[pure]) is not None
    if top in USERS_OF and part_of(name, USERS_OF[top]) is None:
        return False
    if top in sys.stdlib_module_names:
        return pure is None or top in PURE_LIBRARY
    restricted = part_of(name, THIRD_PARTY_OF)
    return restricted is None or top in THIRD_PARTY_OF[restricted]


def part_of(name: str, parts: Iterable[str]) -> str | None:
    """Return which of these parts the module is, or is in."""
    return next((part for part in parts if name == part or name.startswith(part + ".")), None)
