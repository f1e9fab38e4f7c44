#!/usr/bin/env bash
# Puts this checkout onto a box, over ssh: our image, or a Raspberry Pi OS or Debian that is there already.
#
#   deploy/deploy.sh pi@stock.local                     installs, or updates; twice does the work once
#   deploy/deploy.sh --config shop.toml pi@stock.local  with these settings
#   deploy/deploy.sh --dry-run pi@stock.local           looks, and says what it would do
#   deploy/deploy.sh --status pi@stock.local            which releases are there, and which one runs
#   deploy/deploy.sh --rollback pi@stock.local          back to the release before
#   deploy/deploy.sh --rollback --restore-ledger …      also when that wants the ledger from before the update
#
# The box needs no internet: everything comes from here. It goes on by itself when the connection is lost, and goes back
# to the release that it had when the new one does not work. Further words for ssh, such as another port, go into
# ~/.ssh/config or behind --ssh-config FILE.
#
# Ends with 0 when the box runs what was asked for, 1 when nothing was changed, 3 when it went back.
set -euo pipefail

readonly ON_BOX=/run/stock-coordinator-deploy
readonly INCOMING=/opt/stock-coordinator/incoming
# The box's half, as it lies on the box and in what is sent.
readonly RELEASES=/usr/local/lib/stock-coordinator/releases
readonly JOB=stock-coordinator-deploy
# How far a clock may be off before it is told: less nobody sees on a receipt.
readonly CLOCK_OFF_S=120
# A release, unpacked beside the one that runs, and its wheels until then.
readonly SPACE_MIB=300
# For a minute and more: what the box does meanwhile takes about as long.
readonly RETRIES=30
readonly RETRY_S=3

say() { printf '%s\n' "$*"; }

die() {
    say "deploy: $*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# What is said to the box is made here, by this script alone.
# shellcheck disable=SC2029
on_box() { ssh "${ssh_words[@]}" "$host" "$@"; }

# Stands before every command that needs root; set by look_at_box.
sudo_word=""

as_root() { on_box "$sudo_word $*"; }

# Reads the box's state into the array `box`, and says what is in the way.
look_at_box() {
    local line answer
    # It is read by the box's own sh, so nothing in it is ours to expand.
    # shellcheck disable=SC2016
    answer=$(
        on_box 'sh -s' <<'LOOK'
say() { printf '%s=%s\n' "$1" "$2"; }
say machine "$(uname -m)"
set -- $(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.maxsize.bit_length() + 1)' 2>/dev/null)
say python "$1"
say bits "$2"
say system "$(. /etc/os-release; echo "$PRETTY_NAME")"
say systemd "$([ -d /run/systemd/system ] && echo yes)"
say clock "$(date +%s)"
for place in /opt/stock-coordinator /opt; do [ -d "$place" ] && break; done
say free "$(df -Pm "$place" | awk 'NR == 2 { print $4 }')"
say inodes "$(df -Pi "$place" | awk 'NR == 2 { print $4 }')"
say root "$([ "$(id -u)" = 0 ] && echo yes || { sudo -n true 2>/dev/null && echo sudo; })"
say current "$(basename "$(readlink /opt/stock-coordinator/current)" 2>/dev/null)"
say schema "$(sed -n 's/^schema=//p' /opt/stock-coordinator/current/RELEASE 2>/dev/null)"
say job "$(systemctl is-active stock-coordinator-deploy.service)"
say done yes
LOOK
    ) || die "ssh $host does not come in (its own words are above). Is the box on, is its name or address right, and" \
        "may you log in? On our image sshd runs only when stock-coordinator.toml on the card names your key."
    while IFS= read -r line; do box[${line%%=*}]=${line#*=}; done <<<"$answer"
    [[ ${box[done]-} == yes ]] || die "$host answers, but no shell there does what it is told: it said: $answer"
    case ${box[root]} in
        yes) ;;
        sudo) sudo_word="sudo -n" ;;
        *) die "root is needed on $host: log in as root, or allow this user sudo without a password" ;;
    esac
    [[ -n ${box[systemd]} ]] || die "$host is not run by systemd, which starts the service and watches over it"
}

# Ends unless a change may begin.
want_idle_box() {
    [[ ${box[job]} != active ]] || die "another update is under way on $host: wait for it, and look with --status"
}

# Says what keeps a release from being installed.
judge_box() {
    local off_s way
    want_idle_box
    [[ -n ${box[python]} ]] || die "there is no python3 on $host (${box[system]}): sudo apt-get install python3"
    [[ ${box[python]} =~ ^3\.(1[1-9])$ ]] ||
        die "Python ${box[python]} on $host (${box[system]}) is too old: 3.11 is needed, which Debian 12 has"
    [[ ${box[machine]} == aarch64 || ${box[machine]} == x86_64 ]] ||
        die "$host is a ${box[machine]}: a 64-bit system is needed (for a Pi, the 64-bit Raspberry Pi OS)"
    # The kernel says the processor's: the 32-bit Raspberry Pi OS has a 64-bit one on a Pi 3 or 4.
    [[ ${box[bits]} == 64 ]] ||
        die "$host runs a ${box[bits]}-bit system (${box[system]}) on a 64-bit processor: the 64-bit one is needed"
    ((box[free] >= SPACE_MIB)) ||
        die "there are ${box[free]} MiB free for /opt/stock-coordinator on $host, and $SPACE_MIB are needed: make room"
    off_s=$((box[clock] - $(date +%s)))
    way=ahead
    ((off_s >= 0)) || way=behind off_s=$((-off_s))
    ((off_s <= CLOCK_OFF_S)) ||
        say "attention: the clock of $host is $(duration "$off_s") $way." \
            "Stock stays right, but paper says a wrong time: give the box a network, or set it by date -s"
}

duration() {
    local s=$1
    if ((s >= 172800)); then
        echo "$((s / 86400)) days"
    elif ((s >= 7200)); then
        echo "$((s / 3600)) hours"
    else
        echo "$((s / 60)) minutes"
    fi
}

check_config() {
    [[ -r $config ]] || die "$config cannot be read"
    [[ -x .venv/bin/python ]] || scripts/setup
    # None of this machine's own settings has a say.
    env -i PATH="$PATH" .venv/bin/python -m appliance check-config --config "$config" >/dev/null ||
        die "nothing was sent: mend $config"
}

# Sends the release and the settings; neither is anything to the box until it is handed over.
send() {
    local folder=$1
    say "sending $(du -sm "$folder" | cut -f 1) MiB to $host"
    if as_root "rm -rf $ON_BOX $INCOMING" && as_root "mkdir -p -m 700 $ON_BOX $INCOMING" &&
        tar -C "$folder" -c . | as_root "tar -x --no-same-owner -C $INCOMING" &&
        { [[ -z $config ]] || as_root "sh -c 'umask 077 && cat >$ON_BOX/config'" <"$config"; }; then
        return
    fi
    die "the connection to $host was lost, or its disk is full (ssh's or tar's own words are above). Nothing was" \
        "changed there: do the same again"
}

# Has the box do a command of `releases` by itself: what has begun there does not end with the connection.
hand_over() {
    local code=0
    as_root "sh -c 'mkdir -p -m 700 $ON_BOX && : >$ON_BOX/log && cat >$ON_BOX/job'" <<JOB ||
$*
code=\$?
rm -rf $INCOMING $ON_BOX/config
echo result=\$code
JOB
        die "the connection to $host was lost, and nothing was changed there: do the same again"
    as_root "systemd-run --quiet --collect --unit=$JOB --property=StandardOutput=append:$ON_BOX/log" \
        "--property=StandardError=append:$ON_BOX/log sh $ON_BOX/job" || code=$?
    # When the connection is lost here nobody knows whether it began; what follows will tell.
    ((code == 0 || code == 255)) || die "$host did not begin (its words are above), and nothing was changed there"
}

# Shows what the box says of it, and returns with its exit code.
follow() {
    local shown=0 attempt line code
    for ((attempt = 0; attempt < RETRIES; attempt++)); do
        while IFS= read -r line; do
            shown=$((shown + 1))
            case $line in
                result=never) die "$host did not begin, and nothing was changed there: do the same again" ;;
                result=*) return "${line#result=}" ;;
                *) say "  $line" ;;
            esac
        done < <(
            as_root "sh -s $((shown + 1))" <<FOLLOW
main=\$(systemctl show --property MainPID --value $JOB)
if [ "\$main" != 0 ]; then
    exec tail -n +\$1 -f --pid=\$main $ON_BOX/log
elif [ -s $ON_BOX/log ]; then
    exec tail -n +\$1 $ON_BOX/log
fi
echo result=never
FOLLOW
        )
        code=0
        wait $! || code=$?
        ((code == 255)) || die "$host ended it without a word: look with --status"
        say "the connection to $host is lost; the box goes on by itself. Trying again"
        sleep "$RETRY_S"
    done
    die "$host does not answer any more. It ends by itself what it began: look later, by --status"
}

deploy() {
    local folder name
    [[ -z $config ]] || check_config
    look_at_box
    judge_box
    say "$host: ${box[system]}, ${box[machine]}, Python ${box[python]}, ${box[free]} MiB free," \
        "in force: ${box[current]:-nothing}"
    folder=$(deploy/release "${box[machine]}" "${box[python]}")
    name=${folder##*/}
    if [[ -n $is_dry ]]; then
        dry_run "$folder"
        return
    fi
    if [[ $name == "${box[current]}" && -z $config ]]; then
        hand_over "$RELEASES check"
    else
        send "$folder"
        hand_over "$INCOMING/rootfs$RELEASES install $INCOMING ${config:+$ON_BOX/config}"
    fi
    follow
}

dry_run() {
    local folder=$1 name=${1##*/} schema
    schema=$(sed -n 's/^schema=//p' "$folder/RELEASE")
    if [[ $name == "${box[current]}" ]]; then
        say "would only see whether $name works, which is in force already"
        return
    fi
    say "would send $(du -sm "$folder" | cut -f 1) MiB and put $name in force" \
        "${box[current]:+in place of ${box[current]}}"
    [[ -z ${box[schema]} ]] || ((schema <= box[schema])) ||
        say "would back the ledger up first, for its schema changes from ${box[schema]} to $schema"
}

config="" is_dry="" task="" restore="" host="" ssh_config=""
while (($#)); do
    case $1 in
        --config | --ssh-config)
            (($# > 1)) || usage
            if [[ $1 == --config ]]; then config=$(realpath "$2"); else ssh_config=$(realpath "$2"); fi
            shift
            ;;
        --dry-run) is_dry=yes ;;
        --rollback | --status) task=${1#--} ;;
        --restore-ledger) restore=$1 ;;
        -*) usage ;;
        *)
            [[ -z $host ]] || usage
            host=$1
            ;;
    esac
    shift
done
[[ -n $host ]] || usage
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
# One log-in serves all; a box that is silent for 15 s counts as lost.
ssh_words=(-o ControlMaster=auto -o "ControlPath=$scratch/ssh" -o ControlPersist=60 -o ConnectTimeout=10
    -o ServerAliveInterval=5 -o ServerAliveCountMax=3 ${ssh_config:+-F "$ssh_config"})
trap 'ssh "${ssh_words[@]}" -O exit "$host" 2>/dev/null || true; rm -rf "$scratch"' EXIT
declare -A box=()

case $task in
    "") deploy ;;
    status)
        look_at_box
        [[ -n ${box[current]} ]] || die "no release is on $host"
        as_root "$RELEASES status"
        ;;
    rollback)
        look_at_box
        [[ -n ${box[current]} ]] || die "no release is on $host"
        want_idle_box
        hand_over "$RELEASES rollback $restore"
        follow
        ;;
esac
