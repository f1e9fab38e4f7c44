"""What the image does with its data partition at each start: its scripts as they are, on a card that is a loop device.

They run in a root over this machine's, with our files in it; udev's part, the names in /dev, is played. What starts
them, and in which order, is seen when the whole image is played.
"""

import os
import struct
from pathlib import Path

import pytest

from tests.crash.mounts import as_root

ROOTFS = Path(__file__).parents[2] / "deploy" / "rootfs"
RELEASE = "usr/local/lib/stock-coordinator/release"
CARD_MIB = 512
DATA_MIB = 8
"""Where the data partition begins; what lies before it on a card is of no account here."""

SUPERBLOCK = 1024
"""Where ext4 has its first superblock; mkfs.ext4 puts a copy into the 32,768th block of 4 KiB."""

# In a mount namespace of its own, which takes the mounts with it.
_RUN = r"""
set -eu
cd "$BOX"
rm -rf upper work
mkdir -p upper work merged
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work merged
cp -a "$ROOTFS/usr/local/lib/box" merged/usr/local/lib/
mount -t proc proc merged/proc
mount -t sysfs sysfs merged/sys
mount -t tmpfs dev merged/dev
cp -a /dev/null /dev/zero /dev/urandom merged/dev/
mkdir -p merged/dev/disk/by-partuuid merged/boot/firmware merged/data
mount --bind boot merged/boot/firmware
printf '#!/bin/sh\n' >merged/usr/local/bin/udevadm
chmod 755 merged/usr/local/bin/udevadm
if [ -e card.img ]; then
    loop=$(losetup --find --show card.img)
    trap 'partx --delete --nr 3 "$loop"; losetup --detach "$loop"' EXIT
    # A kernel may know no MBR, and takes each partition from whoever reads the table for it.
    partx --add --nr 3 "$loop"
    for node in "$loop" "${loop}p3"; do
        number=$(cat "/sys/class/block/${node#/dev/}/dev")
        mknod "merged$node" b "${number%:*}" "${number#*:}"
    done
    ln -s "../../${loop#/dev/}p3" merged/dev/disk/by-partuuid/53544f43-03
else
    mount --bind data merged/data
fi
chroot merged env PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin sh -euc "$1"
"""


class Box:
    """A root with our files in it, and its boot partition."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.boot = directory / "boot"
        self.boot.mkdir()

    def run(self, script: str) -> str:
        """Run a script in the root, which is gone afterwards, and return what it said."""
        words = (f"BOX={self._directory}", f"ROOTFS={ROOTFS}", f"PATH={os.environ['PATH']}:/usr/sbin:/sbin")
        command = ("env", *words, "unshare", "--mount", "--propagation", "private", "sh", "-c", _RUN, "sh", script)
        return as_root(*command)


class Card(Box):
    """A box with a card, as an image and whatever was on it before have left it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._image = directory / "card.img"
        with self._image.open("wb") as card:
            card.truncate(CARD_MIB << 20)
        self.flash()

    def flash(self) -> None:
        """Write what an image writes of it: the table, whose third partition is as small as it was made."""
        table = bytearray(512)
        struct.pack_into("<I", table, 440, 0x53544F43)
        struct.pack_into("<B3xB3xII", table, 446 + 32, 0, 0x83, DATA_MIB << 11, 16 << 11)
        table[510:] = b"\x55\xaa"
        self._write(0, bytes(table))

    def start(self) -> str:
        return self.run("/usr/local/lib/box/partition")

    def on_data(self, script: str) -> str:
        """Start it, and run a script where its data partition is mounted, which systemd has checked before."""
        return self.run(
            "/usr/local/lib/box/partition >/dev/null 2>&1; cd /dev/disk/by-partuuid; "
            "e2fsck -fy 53544f43-03 >/dev/null 2>&1 || [ $? -le 2 ]; mount 53544f43-03 /data; "
            f"trap 'cd /; umount /data' EXIT; cd /data; {script}"
        )

    def spoil(self, offset: int, content: bytes) -> None:
        """Overwrite some bytes of the data partition."""
        self._write((DATA_MIB << 20) + offset, content)

    def _write(self, offset: int, content: bytes) -> None:
        with self._image.open("r+b") as card:
            card.seek(offset)
            card.write(content)


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_a_new_card_gets_a_data_partition_as_large_as_it_is(card: Card) -> None:
    said = card.start()
    assert "grows" in said
    assert "made anew" in said
    assert int(card.on_data("df --output=size -m . | tail -n 1")) > (CARD_MIB - DATA_MIB) * 0.8
    assert card.start() == ""


def test_a_card_that_is_flashed_anew_keeps_its_data(card: Card) -> None:
    card.on_data("echo 1000 >milk")
    card.flash()
    assert "made anew" not in card.start()
    assert card.on_data("cat milk") == "1000"


@pytest.mark.parametrize("torn", [range(SUPERBLOCK + 512, SUPERBLOCK + 1024), range(4096)], ids=["half", "block"])
def test_a_superblock_that_a_power_cut_has_torn_costs_nothing(card: Card, torn: range) -> None:
    card.on_data("echo 1000 >milk")
    card.spoil(torn.start, bytes(number % 251 for number in torn))
    assert "made anew" not in card.start()
    assert card.on_data("cat milk") == "1000"
    assert card.start() == ""


def test_what_another_system_has_left_on_a_card_goes(card: Card) -> None:
    card.on_data("echo 1000 >milk")
    # Once ours, then somebody's music, then ours again.
    card.run("mkfs.vfat -n MUSIC /dev/disk/by-partuuid/53544f43-03 >/dev/null")
    assert "made anew" in card.start()
    assert card.on_data("ls -A") == "lost+found"


def test_a_partition_that_cannot_be_read_is_not_made_anew(card: Card) -> None:
    card.on_data("echo 1000 >milk")
    unreadable = "cp /bin/false /usr/local/bin/dd; ! /usr/local/lib/box/partition 2>&1"
    assert "left as it is" in card.run(unreadable)
    assert card.on_data("cat milk") == "1000"


@pytest.mark.parametrize("name", ["factory-reset", "Factory-Reset.txt"])
def test_a_file_on_the_boot_partition_empties_it_once(card: Card, name: str) -> None:
    card.on_data("echo 1000 >milk")
    (card.boot / name).write_bytes(b"")
    # The boot partition is no mount of its own here.
    assert "made anew" in card.run("cp /bin/true /usr/local/bin/mount; /usr/local/lib/box/partition")
    assert list(card.boot.iterdir()) == []
    assert card.on_data("ls -A; echo 7 >bread") == "lost+found"
    assert card.on_data("cat bread") == "7"


class Kept(Box):
    """A box whose data partition outlives the system that is flashed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.data = directory / "data"
        self.opt = self.data / "opt"
        self.data.mkdir()

    def flash(self, name: str, schema: int) -> str:
        """Start with an image that holds this release, and return what was said."""
        release = f"/{RELEASE}"
        made = f"mkdir -p {release}; printf 'name={name}\\nschema={schema}\\n' >{release}/RELEASE"
        return self.run(f"{made}; /usr/local/lib/box/data")

    def deploy(self, name: str, schema: int) -> None:
        release = self.opt / "releases" / name
        release.mkdir()
        (release / "RELEASE").write_text(f"name={name}\nschema={schema}\n")
        with (self.opt / "history").open("a") as history:
            history.write(f"{self.in_force}\n{name}\n")
        (self.opt / "current").unlink()
        (self.opt / "current").symlink_to(f"releases/{name}")

    @property
    def in_force(self) -> str:
        return str((self.opt / "current").readlink()).removeprefix("releases/")

    @property
    def history(self) -> list[str]:
        return (self.opt / "history").read_text().split()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_what_is_flashed_comes_into_force_and_what_was_deployed_is_gone_back_to(kept: Kept) -> None:
    assert "image-1 is put in force" in kept.flash("image-1", 1)
    kept.deploy("deployed-1", 1)
    assert kept.flash("image-1", 1) == "", "the same image is no news"
    assert kept.in_force == "deployed-1"
    (kept.opt / "trial").write_text("former=image-1\n")
    assert "image-2 is put in force" in kept.flash("image-2", 1)
    assert kept.in_force == "image-2"
    assert not (kept.opt / "trial").exists()
    # The release of the image before is gone with it, and its name must not lead to another.
    assert kept.history == ["deployed-1"]
    assert sorted(path.name for path in (kept.opt / "releases").iterdir()) == ["deployed-1", "image-2"]


def test_an_image_that_is_older_than_the_ledger_leaves_in_force_what_can_read_it(kept: Kept) -> None:
    kept.flash("image-1", 1)
    kept.deploy("deployed-2", 2)
    assert "deployed-2 stays in force" in kept.flash("image-1b", 1)
    assert kept.in_force == "deployed-2"
    assert kept.flash("image-1b", 1) == ""
    assert "image-2 is put in force" in kept.flash("image-2", 2)
    assert (kept.in_force, kept.history) == ("image-2", ["deployed-2"])
