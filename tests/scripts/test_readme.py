"""The first page that a newcomer reads is true: its till sells, its links lead somewhere, its settings are complete."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard, get_args

from pydantic import BaseModel

from appliance.settings import Settings, variable
from tests.box import PASSWORD, Box

CHECKOUT = Path(__file__).parent.parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_till_in_ten_lines_sells(tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 10
    with Box(tmp_path / "data") as box:
        program = program.replace("1883", str(box.port)).replace("THE-SHOP-PASSWORD", PASSWORD)
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert result.stdout == "18 on hand, 0 to be acknowledged\n", result.stderr
        assert '"on_hand":"18"' in box.command("balance", "4607001234567", "--json").stdout


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "//" not in link]
    assert links
    assert [link for link in links if not (CHECKOUT / link).is_file()] == []


def test_every_setting_is_in_the_table_and_no_other() -> None:
    documented = re.findall(r"^\| `(STOCK_\w+)` \|", README, re.MULTILINE)
    assert documented == list(variables(Settings))


def test_scripts_that_it_names_can_be_run() -> None:
    scripts = set(re.findall(r"scripts/\w+", README))
    assert "scripts/run" in scripts
    assert [script for script in scripts if not os.access(CHECKOUT / script, os.X_OK)] == []


def variables(model: type[BaseModel], *above: str) -> Iterator[str]:
    """Yield the environment variables of a model's settings, in the order of their definition."""
    for name, field in model.model_fields.items():
        tables = [one for one in (field.annotation, *get_args(field.annotation)) if _is_table(one)]
        if tables and name != "printers":  # Several printers are named by the shop: they have no variables.
            yield from variables(tables[0], *above, name)
        else:
            yield variable(*above, name)


def _is_table(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
