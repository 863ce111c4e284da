#!/bin/bash
# shellcheck disable=SC2016
# Start, status and stop beside 10,000 processes of somebody else: what they
# answer is the same, only the look through /proc takes its milliseconds: not many
# times those of a cat of what is looked at.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

crowd=10000
unit=domino-notify.service
use_unit $unit

# What the verbs answer, without what differs from start to start.
answers() {
    local verb
    for verb in status start status 'status display' 'healthcheck ready' stop stop status; do
        # shellcheck disable=SC2086
        ct rc_domino $verb 2>&1
        echo "$verb: $?"
    done | sed -E 's/[0-9.]+ (m?s|seconds?)\b/N s/g; s/pid [0-9]+/pid N/g'
}
many() { [ "$(ct sh -c 'ls /proc | grep -c "^[0-9]"')" -gt $crowd ]; }

alone=$(answers)
case $alone in *'start: 0'*'status: 0'*'stop: 0'*'stop: 0'*'status: 3') ;; *) fail "alone: $alone" ;; esac
ct systemd-run -q --uid=nobody -p TasksMax=infinity -p LimitNPROC=infinity --unit=crowd \
    sh -c 'n=0; while [ $n -lt '$crowd' ]; do sleep 10000 & n=$((n + 1)); done; wait'
for ((tries = 0; tries < 120; tries++)); do
    many && break
    sleep 1
done
if ! many; then
    echo "NOT RUN: no $crowd processes can be had here: $(ct systemctl show -p Result,TasksCurrent crowd | tr '\n' ' ')"
    exit 77
fi
note "$(ct sh -c 'ls /proc | grep -c "^[0-9]"') processes"
beside=$(answers)
[ "$beside" = "$alone" ] || fail "$(diff <(echo "$alone") <(echo "$beside"))"
! ct pgrep -u notes >"$STATE/left" || fail "left: $(cat "$STATE/left")"

# Not one of them is touched, and a stranger is not looked at closely.
many || fail "the crowd is gone"
# fastest COMMAND...: milliseconds that the fastest of ten takes, nsenter and all.
fastest() {
    local began i took least=1000000
    for ((i = 0; i < 10; i++)); do
        began=$(date +%s%N)
        ct "$@" >/dev/null
        took=$((($(date +%s%N) - began) / 1000000))
        [ $took -ge $least ] || least=$took
    done
    echo $least
}
took=$(fastest rc_domino status)
plain=$(fastest sh -c 'cat /proc/[0-9]*/stat 2>/dev/null')
note "status takes $took ms, to read each one's stat $plain ms"
[ "$took" -lt $((plain * 2)) ] || fail "status takes $took ms, to read each one's stat $plain ms"
