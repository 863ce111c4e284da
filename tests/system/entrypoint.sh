#!/bin/sh
# HCL's container entry point on top of the product: tests/system/entrypoint.sh
# PATH-OF-ENTRYPOINT. See cases/entrypoint.sh.
[ $# = 1 ] || { echo "usage: $0 ENTRYPOINT" >&2; exit 2; }
ENTRYPOINT=$(realpath "$1") exec "$(dirname "$0")/run" entrypoint
