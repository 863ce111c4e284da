#!/bin/bash
# The VMware adapter under VMware's own code: the backup plug-in of Debian's
# open-vm-tools runs what 'snapshot install vmware' has written, in a container,
# around a stand-in server; vmware-host.c plays the ESXi host.
#
# Exit code: 0 all scenarios hold, 1 one does not, 77 not run (and why).
# The guest's root is built once, below the target directory.
set -u
cd "$(dirname "$0")/../.." || exit 1
not_run() { echo "NOT RUN: the VMware adapter under the real plug-in: $*"; exit 77; }

[ "$(id -u)" = 0 ] || not_run "needs root"
for tool in mmdebstrap systemd-nspawn gcc pkg-config cargo; do
    command -v "$tool" >/dev/null || not_run "needs $tool"
done
pkg-config --exists gobject-2.0 gmodule-2.0 || not_run "needs the headers of GLib (libglib2.0-dev)"

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/system
guest=$work/vmware-root
built=$target/x86_64-unknown-linux-gnu/debug
mkdir -p "$work"

cargo build --quiet && cargo build --quiet --example standin || exit 1
# shellcheck disable=SC2046 # words, not one word
gcc -Wall -Wextra -O1 -rdynamic -o "$work/vmware-host" tests/system/vmware-host.c \
    $(pkg-config --cflags --libs gobject-2.0 gmodule-2.0) || exit 1

if [ ! -e "$guest.built" ]; then
    rm -rf "$guest"
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    mirror=${RC_DOMINO_MIRROR:-$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/*.sources 2>/dev/null)}
    mmdebstrap --quiet --variant=minbase --include=open-vm-tools,procps,util-linux \
        "$release" "$guest" "${mirror:-http://deb.debian.org/debian}" ||
        not_run "cannot build a Debian root (is there a mirror? RC_DOMINO_MIRROR names one)"
    touch "$guest.built"
fi

# nspawn makes its control groups below the caller's, whose own must hold no
# other process; not everywhere is there one to be had.
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    own=$hierarchy/rc_domino-vmware-$$
    [ -e "$hierarchy/cgroup.procs" ] && mkdir "$own" 2>/dev/null && echo $$ >"$own/cgroup.procs"
done

# The root stays as it is: what the guest writes is gone at its end. Its own
# network, mounts and processes; no filesystem of this host is frozen, for
# tools.conf in there forbids that.
exec systemd-nspawn --quiet --directory="$guest" --volatile=overlay --as-pid2 \
    --register=no --keep-unit --private-network --machine="rc-domino-$$" --console=pipe \
    --bind-ro="$built/rc_domino:/test/rc_domino" \
    --bind-ro="$built/examples/standin:/test/standin" \
    --bind-ro="$work/vmware-host:/test/vmware-host" \
    --bind-ro="$PWD/tests/system/vmware-guest.sh:/test/guest.sh" \
    /bin/bash /test/guest.sh "$@" </dev/null
