"""The files of the box's system, each judged by the tool that will read it."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
ROOTFS = CHECKOUT / "deploy" / "rootfs"
UNITS = ROOTFS / "etc" / "systemd" / "system"
OURS = sorted(path.name for path in UNITS.glob("*.service"))

EXPOSURE_TENTHS = 15
"""What `systemd-analyze security` may rate a unit of ours at; it counts from 0 (nothing is exposed) to 100."""


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with our files over this machine's own units, and a stand-in for what the units start."""
    path = tmp_path_factory.mktemp("root")
    shutil.copytree("/usr/lib/systemd/system", path / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(ROOTFS, path, symlinks=True, dirs_exist_ok=True)
    for started in ("opt/stock-coordinator/current/bin/python", "usr/sbin/sshd", "usr/sbin/fake-hwclock"):
        (path / started).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", path / started)
    return path


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_there_are_units() -> None:
    assert "stock-coordinator.service" in OURS


@pytest.mark.parametrize("unit", OURS)
def test_systemd_has_nothing_to_say_against_a_unit(root: Path, unit: str) -> None:
    done = _run("systemd-analyze", "verify", "--man=no", f"--root={root}", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", [unit for unit in OURS if (UNITS / f"{unit}.d" / "sandbox.conf").exists()])
def test_a_unit_that_runs_the_coordinator_exposes_little(root: Path, unit: str) -> None:
    rating = f"--threshold={EXPOSURE_TENTHS}"
    done = _run("systemd-analyze", "security", "--no-pager", "--offline=true", rating, f"--root={root}", unit)
    assert done.returncode == 0, done.stdout


def test_a_sandbox_with_a_hole_is_found(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "root", symlinks=True)
    [sandbox] = (tmp_path / "root").glob("etc/systemd/system/stock-coordinator.service.d/sandbox.conf")
    sandbox.write_text(sandbox.read_text().replace("ProtectSystem=strict", "ProtectSystem=no"))
    rating = f"--threshold={EXPOSURE_TENTHS}"
    command = ("systemd-analyze", "security", "--no-pager", "--offline=true", rating)
    assert _run(*command, f"--root={tmp_path / 'root'}", "stock-coordinator.service").returncode != 0


def test_the_data_keep_their_owner_when_a_card_is_flashed_anew(tmp_path: Path) -> None:
    """The user has one number on every image: the data partition outlives the system that wrote it."""
    made = tmp_path / "root"
    shutil.copytree(ROOTFS, made, symlinks=True)
    (made / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (made / "etc/group").write_text("root:x:0:\n")
    done = _run("systemd-sysusers", f"--root={made}")
    assert done.returncode == 0, done.stderr
    assert "stock-coordinator:x:470:" in (made / "etc/passwd").read_text()


def test_nft_takes_the_firewall() -> None:
    done = _run("unshare", "--map-root-user", "--net", "nft", "--check", "--file", ROOTFS / "etc/nftables.conf")
    assert (done.returncode, done.stderr) == (0, "")
