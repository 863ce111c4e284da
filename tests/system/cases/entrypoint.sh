#!/bin/bash
# shellcheck disable=SC2016
# HCL's own container entry point, unchanged, on top of the product installed
# as rc_domino_script. ENTRYPOINT names it (dockerfiles/install_dir_domino/
# entrypoint.sh of HCL-TECH-SOFTWARE/domino-container); it is not part of this
# project.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"
fail() { echo "FAILED: $*, with: $(ct cat /tmp/out)" >&2; exit 1; }

if [ -z "${ENTRYPOINT:-}" ]; then
    echo "NOT RUN: system test entrypoint: ENTRYPOINT names no entry point of HCL's"
    exit 77
fi
cp "$ENTRYPOINT" "$STAGE/entrypoint.sh" || exit 1
ct sh -eu -c '
    rm -f /etc/sysconfig/rc_domino_config
    install -D -m 755 /stage/entrypoint.sh /domino_docker_entrypoint.sh
    # The image brings these; there is no data to copy here.
    mkdir -p /opt/domino-container/scripts
    printf "#!/bin/sh\n" >/opt/domino-container/scripts/domino_install_data_copy.sh
    printf "#!/bin/sh\necho before_shutdown ran\n" >/opt/domino-container/scripts/before_shutdown.sh
    chmod 755 /opt/domino-container/scripts/*.sh
    mkdir -p /tmp; chmod 1777 /tmp
'

# begin [NAME=VALUE...]: as user notes, as PID 1, without systemd.
begin() {
    ct rm -rf /tmp/out /tmp/code /tmp/domino-container
    ct sh -c '
        setsid sh -c "unshare --pid --fork --mount --mount-proc \
            sh -c \"mount -t tmpfs none /run; exec setpriv --reuid notes --regid notes --init-groups \
            env -i --default-signal PATH=/usr/bin:/bin HOME=/home/notes DOMINO_CONFIGURED=yes $* \
            bash /domino_docker_entrypoint.sh\" >/tmp/out 2>&1 </dev/null; echo \$? >/tmp/code" &' sh "$@"
    wait_for 30 ct pgrep -f '^bash /domino_docker_entrypoint.sh'
    PID1=$(ct pgrep -f '^bash /domino_docker_entrypoint.sh' | head -n 1)
}
inside() {
    ct nsenter -t "$PID1" -p -m setpriv --reuid notes --regid notes --init-groups \
        env -i PATH=/usr/bin:/bin LOGNAME=notes DOMINO_CONFIGURED=yes DOMINO_DATA_PATH=/local/notesdata "$@"
}
ready() { inside rc_domino healthcheck ready; }
ended() {
    wait_for 60 ct test -s /tmp/code
    nothing_left
}

note "start, SIGTERM"
begin
wait_for 30 ready
ct kill -TERM "$PID1"
ended
for text in 'Starting Domino server notes' 'Stopping Domino Server' 'before_shutdown ran' \
    'Flushed 1 filesystem' 'stopped after' 'Domino Server Shutdown'; do
    ct grep -q "$text" /tmp/out || fail "no '$text' in $(ct cat /tmp/out)"
done
ct grep -q 'Server shutdown complete' /local/notesdata/notes.log || fail "no clean shutdown"
ct cat /tmp/out | grep . | cut -c1-120 | sed 's/^/    /'

note "its requests: stop, start, restart with compact"
# It exports DOMINO_REQEST_FILE and reads DOMINO_REQUEST_FILE.
begin DOMINO_REQUEST_FILE=/tmp/domino_request DOMINO_COMPACT_OPTIONS=-B
wait_for 30 ready
for request in 0 1 c; do
    inside sh -c "rm -f /tmp/domino_status; echo $request >/tmp/domino_request"
    wait_for 60 ct test -s /tmp/domino_status
    [ "$(ct cat /tmp/domino_status)" = $request ] || fail "request $request: $(ct cat /tmp/domino_status)"
    case $request in
        0) nothing_left ;;
        *) wait_for 30 ready ;;
    esac
done
ct grep -q 'Running compact' /tmp/out || fail "no compact: $(ct cat /tmp/out)"
ct kill -TERM "$PID1"
ended

note "the console on standard output"
begin DOMINO_DOCKER_STDOUT=yes
wait_for 30 ct grep -q 'Server started on physical node' /tmp/out
ct kill -TERM "$PID1"
ended
ct grep -q 'Server shutdown complete' /tmp/out || fail "no clean shutdown: $(ct cat /tmp/out)"

note "a server that is not set up: One-Touch Setup"
ct sh -eu -c '/stage/standin install /opt/hcl/domino /local/notesdata --no-setup --owner "$(id -u notes):$(id -g notes)"
    echo "{}" >/local/notesdata/DominoAutoConfig.json; chown notes: /local/notesdata/DominoAutoConfig.json'
begin
wait_for 30 ready
ct grep -q '^ServerSetup=' /local/notesdata/notes.ini || fail "it was not set up"
ct kill -TERM "$PID1"
ended
