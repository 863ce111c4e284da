#!/bin/bash
# The same restarts of the forking unit: its main process is the server itself,
# which systemd does not start again by itself; after each restart the same
# holds.
UNIT=domino.service exec "$(dirname "$0")/restarts.sh"
