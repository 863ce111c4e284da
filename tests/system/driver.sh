# shellcheck shell=bash
# What the drivers beside this file begin with: what they need, a root file
# system for their containers, the programs, a directory for the run. Before
# they read it they set
#   SUITE    what is not run where it cannot be, in words
# From outside come PROGRAM and STANDIN (other binaries than cargo's), SCRATCH
# (another place than /var/tmp) and MIRROR (where Debian packages come from).
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=tests/system/lib.sh
. "$here/lib.sh"
scratch=${SCRATCH:-/var/tmp}

not_run() {
    echo "NOT RUN: $SUITE: $*"
    exit 77
}

# need TOOL[:PACKAGE]...: root, containers and these.
need() {
    local tool
    [ "$(id -u)" = 0 ] || not_run "it needs root"
    for tool in systemd-nspawn:systemd-container nsenter:util-linux "$@"; do
        command -v "${tool%%:*}" >/dev/null || not_run "${tool%%:*} is not installed (${tool#*:})"
    done
}

# root_file_system GIVEN NAME PACKAGES: ROOTFS is the one given or, made once
# and kept, a Debian with these packages.
root_file_system() {
    ROOTFS=$1
    export ROOTFS
    [ -z "$ROOTFS" ] || return 0
    ROOTFS=$scratch/rc_domino-$2
    [ ! -e "$ROOTFS/etc/machine-id" ] || return 0
    command -v mmdebstrap >/dev/null || not_run "mmdebstrap is not installed"
    # One that was cut off before.
    rm -rf "$ROOTFS.new"
    mmdebstrap --quiet --variant=minbase --include="systemd-sysv,dbus,procps,util-linux,$3" \
        bookworm "$ROOTFS.new" ${MIRROR:+"$MIRROR"} || not_run "no root file system could be made"
    : >"$ROOTFS.new/etc/machine-id"
    mv "$ROOTFS.new" "$ROOTFS"
}

# programs: PROGRAM and STANDIN, built where they were not given.
programs() {
    local target=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu
    if [ -z "${PROGRAM:-}" ]; then
        cargo build --quiet --release || exit 1
        PROGRAM=$target/release/rc_domino
    fi
    if [ -z "${STANDIN:-}" ]; then
        cargo build --quiet --example standin || exit 1
        STANDIN=$target/debug/examples/standin
    fi
    PROGRAM=$(realpath "$PROGRAM")
    STANDIN=$(realpath "$STANDIN")
    export PROGRAM STANDIN
}

# workshop NAME: STATE and, in it, STAGE with the programs as `make install`
# lays them down. Containers of the run and both are gone when the driver ends.
workshop() {
    STATE=$(mktemp -d "$scratch/rc_domino-$1.XXXXXX") || exit 1
    STAGE=$STATE/stage
    export STATE STAGE
    trap clean EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$STAGE/root"
    chmod 755 "$STATE" "$STAGE" "$STAGE/root"
    make -s install BINARY="$PROGRAM" build= DESTDIR="$STAGE/root" -o build >/dev/null || exit 1
    install -m 755 "$STANDIN" "$STAGE/standin"
}

clean() {
    local left
    for left in "$STATE"/*.nspawn; do
        [ ! -e "$left" ] || down "$(basename "$left" .nspawn)"
    done
    rm -rf "$STATE"
}
