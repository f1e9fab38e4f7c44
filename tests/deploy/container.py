"""A Debian that boots: its own systemd, sshd and network, in a container of this machine's kernel.

    desk (a network namespace, in which deploy.sh runs) ──veth, ssh──▶ box (systemd-nspawn --boot)

Everything that it writes goes into a directory of the test over a root that is made once and kept in dist/, so each
test begins with a new box. The invariant: nothing of it is left on the machine, neither a mount nor a namespace, and no
process but its own is ended.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.crash.mounts import as_root
from tests.waiting import wait_until

CHECKOUT = Path(__file__).parents[2]

SUITE = "trixie"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "python3", "iproute2", "udev", "tzdata")
"""What a Raspberry Pi OS or a Debian with sshd has, and no more: no pip, no venv, no compiler."""

USER = "pi"
HOOK = (
    f"useradd --create-home --shell /bin/bash {USER};"
    f" echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER};"
    " echo box >/etc/hostname; echo 127.0.1.1 box >>/etc/hosts"
)
"""Somebody who may log in and be root, and a name by which the box knows itself."""

BOX = "10.89.0.2"
DESK = "10.89.0.1"

BOOT_S = 90.0
"""1.4 s on a quiet machine."""

# In a mount namespace of its own: the overlay and the cgroups end with it. systemd wants cgroup2 alone, which a machine
# with the older ones has as well; nspawn makes its groups below the one that it stands in. It gets no --register, for
# there may be no machined, and --keep-unit, for there may be no systemd out here at all. What nspawn keeps in /run it
# removes at its next start only where that is no disk. The plug is in for as long as standard input is open; then the
# box's first process is killed, and every other one with it: killed itself, nspawn would leave them running.
_BOOT = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$MERGED"
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/systemd/nspawn
mount -t tmpfs nspawn /run/systemd/nspawn
group=/sys/fs/cgroup/$NAME
mkdir "$group"
exec 3<&0
(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec systemd-nspawn --boot --quiet --register=no --keep-unit --console=pipe --machine="$NAME" \
        --network-namespace-path="/run/netns/$NAME" --directory="$MERGED" 3<&-
) &
nspawn=$!
(
    read -r -u 3 _ || true
    kill -KILL $(pgrep -P "$nspawn")
) &
plug=$!
wait "$nspawn" || true
kill "$plug" 2>/dev/null || true
find "$group" -depth -type d -exec rmdir {} +
"""


class Container:
    """A box that runs. lower: the layers under its own, the topmost first. directory: what it writes is there."""

    def __init__(self, lower: Sequence[Path], directory: Path) -> None:
        self.lower = tuple(lower)
        self.upper = directory / "upper"
        self.ssh_config = directory / "ssh_config"
        self._directory = directory
        self._name = f"stock-{os.getpid()}-{abs(hash(directory)) % 10**6}"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    @property
    def desk(self) -> str:
        """The network namespace from which the box is reached."""
        return f"{self._name}-desk"

    def boot(self) -> None:
        """Return when it is up, and sshd listens."""
        for name in ("upper", "work", "merged"):
            (self._directory / name).mkdir(exist_ok=True)
        environment = {
            "NAME": self._name,
            "LOWER": ":".join(map(str, self.lower)),
            "UPPER": str(self.upper),
            "WORK": str(self._directory / "work"),
            "MERGED": str(self._directory / "merged"),
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", *words, "unshare", "--mount", "--propagation", "private", "bash", "-c", _BOOT]
        with (self._directory / "boot.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_sudo(), *command], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._is_up, BOOT_S)

    def run(self, *command: str, succeeds: tuple[int, ...] = (0,)) -> str:
        """Run a command in the box as its root, and return what it printed."""
        return as_root("nsenter", "--target", str(self._leader), "--all", *command, succeeds=succeeds)

    def says(self, *command: str) -> str:
        """Run a command in the box which may fail, and return what it printed."""
        return self.run(*command, succeeds=tuple(range(256)))

    def cut_power(self) -> None:
        """End it at once, as a pulled plug does; what it wrote is still there for the next boot."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reap()

    def power_off(self) -> None:
        self.says("systemctl", "--no-block", "poweroff")
        self._reap()

    def plug(self, *, is_in: bool) -> None:
        """Plug the network cable in, or out."""
        as_root("ip", "-n", self.desk, "link", "set", "box", "up" if is_in else "down")

    @contextmanager
    def slow_network(self) -> Iterator[None]:
        """Let a release take half a minute to the box."""
        slow = ("tbf", "rate", "8mbit", "burst", "64kb", "latency", "200ms")
        as_root("tc", "-n", self.desk, "qdisc", "add", "dev", "box", "root", *slow)
        try:
            yield
        finally:
            as_root("tc", "-n", self.desk, "qdisc", "del", "dev", "box", "root")

    @contextmanager
    def network(self) -> Iterator[None]:
        """Lay a cable between the desk and the box, whose network namespace is here before it boots."""
        with ExitStack() as namespaces:
            for name in (self._name, self.desk):
                as_root("ip", "netns", "add", name)
                namespaces.callback(as_root, "ip", "netns", "delete", name)
            ends = ("box", "type", "veth", "peer", "name", "host0", "netns", self._name)
            as_root("ip", "-n", self.desk, "link", "add", *ends)
            for name, link, address in ((self.desk, "box", DESK), (self._name, "host0", BOX)):
                as_root("ip", "-n", name, "address", "add", f"{address}/24", "dev", link)
                as_root("ip", "-n", name, "link", "set", link, "up")
            as_root("ip", "-n", self._name, "link", "set", "lo", "up")
            yield

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.cut_power()

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "boot.log").read_text()
        for pid in as_root("ip", "netns", "pids", self._name).split():
            # One that has ended since is no longer there to be opened (2), or, opened already, to be read (4).
            if as_root("sed", "-n", "s/^NSpid:.*\\t//p", f"/proc/{pid}/status", succeeds=(0, 2, 4)) == "1":
                self._leader = int(pid)
        if not self._leader or not Path(f"/proc/{self._leader}").exists():
            return False
        is_booted = self.says("systemctl", "is-system-running") in ("running", "degraded")
        return is_booted and self.says("ss", "-Hltn", "sport = :22") != ""

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(BOOT_S)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None
        self._leader = 0


@contextmanager
def running(lower: Sequence[Path], directory: Path) -> Iterator[Container]:
    """Boot a box over these layers, which `ssh -F ssh_config` reaches from the desk, and end it."""
    directory.mkdir(exist_ok=True)
    container = Container(lower, directory)
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    home = container.upper / "home" / USER / ".ssh"
    home.mkdir(parents=True)
    shutil.copy(key.with_suffix(".pub"), home / "authorized_keys")
    as_root("chown", "-R", "1000:1000", home.parent)
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"{BOX} {(container.lower[-1] / 'etc/ssh/ssh_host_ed25519_key.pub').read_text()}")
    container.ssh_config.write_text(
        f"User {USER}\nIdentityFile {key}\nIdentitiesOnly yes\nBatchMode yes\n"
        f"UserKnownHostsFile {known_hosts}\nStrictHostKeyChecking yes\n"
    )
    with container.network():
        container.boot()
        try:
            yield container
        finally:
            container.end()


def debian() -> Path:
    """Return the root of a Debian before anybody deployed to it. It is made once, in a minute or two."""
    wanted = hashlib.sha256(" ".join((SUITE, *PACKAGES, HOOK)).encode()).hexdigest()[:12]
    kept = CHECKOUT / "dist" / "debian" / f"{SUITE}-{platform.machine()}-{wanted}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            part = kept.with_suffix(".part")
            as_root("rm", "-rf", part)
            packages = f"--include={','.join(PACKAGES)}"
            hook = f'--customize-hook=chroot "$1" sh -ec "{HOOK}"'
            as_root("mmdebstrap", "--quiet", "--variant=minbase", packages, hook, SUITE, part)
            as_root("mv", part, kept)
    return kept


def _sudo() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]
