"""The list of the image's parts names every package once, as CycloneDX has it."""

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

STATUS = """\
Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026b-0+deb13u1

Package: gone
Status: deinstall ok config-files
Architecture: arm64
Version: 1

Package: nftables
Status: install ok installed
Architecture: arm64
Version: 1.1.3-1
Description: a firewall
 Version: no field of its own
"""


def test_every_package_and_wheel_is_listed_with_its_version(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    (tmp_path / "requirements.txt").write_text((CHECKOUT / "scripts/requirements/box.txt").read_text("utf-8"))
    command = [sys.executable, str(CHECKOUT / "deploy/image/sbom"), str(tmp_path), str(tmp_path), "0.1.0"]
    document = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    parts = {part["name"]: part for part in document["components"]}
    assert parts["tzdata"]["purl"] == "pkg:deb/debian/tzdata@2026b-0%2Bdeb13u1?arch=all&distro=trixie"
    assert {"nftables", "apsw", "amqtt"} <= parts.keys()
    assert "gone" not in parts
    assert parts["apsw"]["hashes"]
    references = [part["bom-ref"] for part in document["components"]]
    assert len(set(references)) == len(references)
