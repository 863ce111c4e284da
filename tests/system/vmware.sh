#!/bin/bash
# The VMware adapter under VMware's own code: the backup plug-in of Debian's
# open-vm-tools runs what 'snapshot install vmware' has written, in a container,
# around a stand-in server; vmware-host.c plays the ESXi host.
#
#   tests/system/vmware.sh [PART OF A SCENARIO'S NAME]
# Exit code: 0 all scenarios hold, 1 one does not, 77 not run (and why). The
# guest's root file system is made once and kept under /var/tmp; SCRATCH names
# another place, PROGRAM another binary than the debug build, MIRROR where
# Debian packages come from.
set -u
cd "$(dirname "$0")/../.." || exit 1
not_run() { echo "NOT RUN: the VMware adapter under the real plug-in: $*"; exit 77; }

[ "$(id -u)" = 0 ] || not_run "needs root"
for tool in mmdebstrap systemd-nspawn gcc pkg-config cargo; do
    command -v "$tool" >/dev/null || not_run "needs $tool"
done
pkg-config --exists gobject-2.0 gmodule-2.0 || not_run "needs the headers of GLib (libglib2.0-dev)"

scratch=${SCRATCH:-/var/tmp}
guest=$scratch/rc_domino-vmware-rootfs
target=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/debug
if [ -z "${PROGRAM:-}" ]; then
    cargo build --quiet || exit 1
    PROGRAM=$target/rc_domino
fi
cargo build --quiet --example standin || exit 1

stage=$(mktemp -d "$scratch/rc_domino-vmware.XXXXXX") || exit 1
name=rc_domino-vmware-$$
clean() {
    rm -rf "$stage"
    for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -d "$hierarchy/$name" ] && find "$hierarchy/$name" -depth -type d -exec rmdir {} + 2>/dev/null
    done
}
trap clean EXIT
trap 'exit 130' INT TERM
chmod 755 "$stage"
cp "$PROGRAM" "$stage/rc_domino"
cp "$target/examples/standin" tests/system/vmware-guest.sh "$stage"
# shellcheck disable=SC2046 # words, not one word
gcc -Wall -Wextra -O1 -rdynamic -o "$stage/vmware-host" tests/system/vmware-host.c \
    $(pkg-config --cflags --libs gobject-2.0 gmodule-2.0) || exit 1

if [ ! -e "$guest/etc/machine-id" ]; then
    rm -rf "$guest.new"
    mirror=${MIRROR:-$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/*.sources 2>/dev/null)}
    mmdebstrap --quiet --variant=minbase --include=open-vm-tools,procps,util-linux \
        bookworm "$guest.new" "${mirror:-http://deb.debian.org/debian}" ||
        not_run "no root file system could be made"
    : >"$guest.new/etc/machine-id"
    mv "$guest.new" "$guest"
fi

# What the guest writes is gone at its end. It has its own network, mounts and
# processes; no filesystem of this host is frozen, for its tools.conf forbids
# that.
(
    # nspawn --keep-unit makes its groups below the caller's.
    for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        if [ -d "$hierarchy" ]; then
            mkdir -p "$hierarchy/$name" && echo "$BASHPID" >"$hierarchy/$name/cgroup.procs"
        fi
    done
    exec systemd-nspawn --quiet --directory="$guest" --volatile=overlay --as-pid2 \
        --register=no --keep-unit --private-network --machine="rcd-vmware-$$" --console=pipe \
        --bind-ro="$stage:/test" /bin/bash /test/vmware-guest.sh "$@" </dev/null
)
