#!/usr/bin/env bash
# A Ray on this machine, and jobs for it or for the cluster that RAY_API_SERVER_ADDRESS names. Called by make.
#
#   cluster/local.sh up | down                          state in out/cluster: pids, ports, token, log; NODES=2 brings
#                                                       another node, a process of its own with one CPU
#   cluster/local.sh job        TARGET= REFERENCES= OUTPUT= CONFIG=       (environment)
#   cluster/local.sh nightly    MANIFEST= REFERENCES= OUTPUT= CONFIG=
#   cluster/local.sh schedule   as nightly, AT='0 2 * * *' and INSTALL=1
#
# Never `ray stop`: it ends every Ray on the machine. What was started here is ended by its process id.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
state=${MEDCOLOR_CLUSTER:-$root/out/cluster}
# Jobs find their `python` on the PATH of the process that starts Ray.
export PATH="$root/.venv/bin:$PATH"
export RAY_AUTH_MODE=token

fail() { echo "$1" >&2; exit 2; }

# Exit 0 if the Ray that was started here still runs; a pid may have gone to another process since.
running() { [ -f "$state/pid" ] && ps -p "$(head -1 "$state/pid")" -o args= 2>/dev/null | grep -q 'ray start --head'; }

free_ports() {
    python - "$1" <<'PYTHON'
import socket, sys
probes = [socket.socket() for _ in range(int(sys.argv[1]))]
for probe in probes:
    probe.bind(("127.0.0.1", 0))
print(*(probe.getsockname()[1] for probe in probes))
PYTHON
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The process and all below it, itself first.
family() {
    echo "$1"
    local child
    for child in $(pgrep -P "$1"); do family "$child"; done
}

up() {
    if running; then echo "It runs already: $(cat "$state/address")"; return; fi
    mkdir -p "$state"
    local gcs dashboard agent client temp
    # All four have defaults that another Ray on this machine may hold; without the agent's, no job is ever accepted.
    read -r gcs dashboard agent client < <(free_ports 4)
    # Short, since Ray's sockets lie below it; its own, so that no other Ray takes this one for its cluster.
    temp=$(mktemp -d /tmp/medcolor-ray.XXXXXX)
    (umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$state/token")
    RAY_AUTH_TOKEN_PATH="$state/token" setsid ray start --head --block --port="$gcs" \
        --dashboard-port="$dashboard" --dashboard-agent-listen-port="$agent" --ray-client-server-port="$client" \
        --temp-dir="$temp" --object-store-memory=200000000 --disable-usage-stats \
        >"$state/log" 2>&1 </dev/null &
    local pid=$! waited node
    echo "$pid" >"$state/pid"
    echo "$temp" >"$state/temp"
    echo "http://127.0.0.1:$dashboard" >"$state/address"
    for waited in $(seq 180); do
        if answers "$dashboard" && answers "$agent"; then
            for node in $(seq 2 "${NODES:-1}"); do
                # A folder of its own, or two nodes unpack one job into one place at once.
                RAY_AUTH_TOKEN_PATH="$state/token" setsid ray start --address="127.0.0.1:$gcs" --block --num-cpus=1 \
                    --temp-dir="$(mktemp -d "$temp.XXXX")" --object-store-memory=100000000 --disable-usage-stats \
                    >"$state/log-$node" 2>&1 </dev/null &
                echo $! >>"$state/pid"
            done
            echo "Ray runs at $(cat "$state/address"), token in $state/token (RAY_AUTH_TOKEN_PATH); make cluster-down ends it"
            echo "Prometheus: $temp/prom_metrics_service_discovery.json"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5
    done
    cat "$state/log" >&2
    down
    fail "Ray did not start within $((waited / 2)) s"
}

down() {
    if ! running; then
        rm -f "$state/pid"
        echo "No Ray of make cluster-up runs"
        return
    fi
    # SIGTERM would drain the node for half a minute; every task may be killed and run again.
    local pid pids
    pids=$(while read -r pid; do family "$pid"; done <"$state/pid")
    # shellcheck disable=SC2086 # a list
    kill -KILL $pids 2>/dev/null || true
    local waited
    for waited in $(seq 100); do
        # shellcheck disable=SC2086
        kill -0 $pids 2>/dev/null || break
        sleep 0.1
    done
    [ "$waited" -lt 100 ] || fail "some of these did not end: $pids"
    rm -rf "$(cat "$state/temp")" "$(cat "$state/temp")".*
    rm -f "$state/pid" "$state/temp" "$state/address" "$state/token"
    echo "Ray has ended"
}

# Jobs run in a copy of this folder: what lies on this machine needs its whole path, addresses and names stay.
whole_path() { if [ -e "$1" ]; then realpath "$1"; else echo "$1"; fi; }
whole_output() { case $1 in *://*) echo "$1" ;; *) realpath -m "$1" ;; esac; }

# Run a script of jobs/ on the cluster that RAY_API_SERVER_ADDRESS names, else on the one started here.
submit() {
    if [ -z "${RAY_API_SERVER_ADDRESS:-}" ]; then
        running || fail "No Ray runs here: make cluster-up, or name a cluster with RAY_API_SERVER_ADDRESS=http://HOST:8265"
        RAY_API_SERVER_ADDRESS=$(cat "$state/address")
        export RAY_API_SERVER_ADDRESS RAY_AUTH_TOKEN_PATH="$state/token"
    fi
    ray job submit --working-dir "$root" -- python "$@"
}

job() {
    [ -n "${TARGET:-}" ] && [ -n "${OUTPUT:-}" ] || fail "Usage: make job TARGET=SCAN OUTPUT=VOLUME [REFERENCES=visible-human-male] [CONFIG=FILE]"
    submit jobs/colorize.py "$(whole_path "$TARGET")" "$(whole_path "${REFERENCES:-visible-human-male}")" \
        "$(whole_output "$OUTPUT")" ${CONFIG:+--config "$CONFIG"}
}

needs_manifest() {
    [ -n "${MANIFEST:-}" ] && [ -n "${OUTPUT:-}" ] || fail "Usage: make $1 MANIFEST=FILE|GLOB OUTPUT=FOLDER [REFERENCES=visible-human-male] [CONFIG=FILE]"
}

nightly() {
    needs_manifest nightly
    mkdir -p "$state"
    exec 9>"$state/nightly.lock"
    flock -n 9 || fail "The last nightly run has not come to its end"
    if [ -z "${RAY_API_SERVER_ADDRESS:-}" ] && ! running; then
        trap down EXIT
        up 9>&- # Ray must not hold the lock
    fi
    submit jobs/cohort.py "$(whole_output "$MANIFEST")" "$(whole_path "${REFERENCES:-visible-human-male}")" \
        "$(whole_output "$OUTPUT")" ${CONFIG:+--config "$CONFIG"}
}

schedule() {
    needs_manifest schedule
    local line name tag="# medcolor nightly" others problem
    line="${AT:-0 2 * * *} cd $(printf %q "$root") && make nightly"
    for name in MANIFEST REFERENCES OUTPUT CONFIG RAY_API_SERVER_ADDRESS; do
        [ -z "${!name:-}" ] || line+=" $(printf %q "$name=${!name}")"
    done
    line+=" >> $(printf %q "$state")/nightly.log 2>&1 $tag"
    line=${line//\%/\\%} # cron ends a command at %
    echo "$line"
    [ "${INSTALL:-}" = 1 ] || return 0
    mkdir -p "$state"
    problem=$(mktemp)
    # Only "no crontab" may count as an empty one: another failure would lose the other lines.
    if ! others=$(crontab -l 2>"$problem") && ! grep -qi "no crontab" "$problem"; then
        cat "$problem" >&2
        fail "The crontab could not be read, and was left alone"
    fi
    rm -f "$problem"
    { grep -vF "$tag" <<<"$others" || true; echo "$line"; } | sed '/./,$!d' | crontab -
    echo "Installed; take it out with: crontab -e"
}

case ${1:-} in
    up | down | job | nightly | schedule) "$1" ;;
    *) fail "Usage: cluster/local.sh up|down|job|nightly|schedule" ;;
esac
