#!/usr/bin/env bash
# A Ray on this machine, and jobs for it or for the cluster that RAY_API_SERVER_ADDRESS names. Called by make.
#
#   cluster/local.sh up | down                          state in out/cluster: pids, ports, token, log; NODES=2 brings
#                                                       another node, a process of its own with one CPU
#   cluster/local.sh job        TARGET= REFERENCES= OUTPUT= CONFIG=       (environment)
#   cluster/local.sh nightly    MANIFEST= REFERENCES= OUTPUT= CONFIG=
#   cluster/local.sh schedule   as nightly, AT='0 2 * * *' and INSTALL=1
#
# Never `ray stop`: it ends every Ray on the machine. What was started here is known by a mark in its environment.
# No pipe here ends in one that stops reading early (`grep -q`, `head`): under pipefail, what is then killed by SIGPIPE is
# a "no".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
state=${MEDCOLOR_CLUSTER:-$root/out/cluster}
# Jobs find their `python` on the PATH of the process that starts Ray.
export PATH="$root/.venv/bin:$PATH"
export RAY_AUTH_MODE=token
patience=600 # seconds that a node may take to start

fail() { echo "$1" >&2; exit 2; }

# The folder of the Ray that was started here, or nothing. It is deleted in the end: any other name is refused.
ray_folder() {
    local folder
    [ -f "$state/temp" ] || return 0
    folder=$(<"$state/temp")
    [[ $folder =~ ^/tmp/medcolor-ray\.[[:alnum:]]{6}$ ]] ||
        fail "$state/temp: holds no folder that make cluster-up makes. Look for its Ray by hand, then delete this file"
    echo "$folder"
}

# Set `status` and `session` of a process; exit 1 if it has ended.
look() {
    local line=
    { IFS= read -rd '' line <"/proc/$1/stat"; } 2>/dev/null || [ -n "$line" ] || return 1
    read -r status _ _ session _ <<<"${line##*) }"
    [[ $status != [ZX] ]]
}

# Exit 0 if the process is one of that Ray: its processes bear its folder in their environment. A process id alone may
# have gone to somebody else since.
is_of() { look "$1" && grep -qszFx "MEDCOLOR_RAY=$2" "/proc/$1/environ"; }

# Exit 0 if the head of the Ray that was started here still runs.
running() {
    local pid folder
    [ -f "$state/pid" ] || return 1
    folder=$(ray_folder) && [ -n "$folder" ] && read -r pid <"$state/pid" && is_of "$pid" "$folder"
}

# Its sessions, whoever of them is left: one a node, one a job. A session's number is not given out again before all of it
# has ended.
sessions() {
    local folder found path
    folder=$(ray_folder) || exit
    [ -n "$folder" ] || return 0
    mapfile -t found < <(grep -lszFx "MEDCOLOR_RAY=$folder" /proc/[0-9]*/environ)
    for path in "${found[@]}"; do
        if look "$(basename "$(dirname "$path")")"; then echo "$session"; fi
    done
}

# The processes of some sessions.
members() {
    local process
    for process in /proc/[0-9]*; do
        process=${process#/proc/}
        if look "$process" && [[ " $* " == *" $session "* ]]; then echo "$process"; fi
    done
}

# Of several who start or end a Ray here, one at a time. Ray must not inherit the lock.
alone() { mkdir -p "$state" && exec 8>"$state/lock" && flock 8; }

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

up() {
    alone
    if running; then echo "It runs already: $(cat "$state/address")"; return; fi
    end # what is left of one whose head has died
    local gcs dashboard agent client temp node
    # All four have defaults that another Ray on this machine may hold; without the agent's, no job is ever accepted.
    read -r gcs dashboard agent client < <(free_ports 4)
    # Short, since Ray's sockets lie below it; its own, so that no other Ray takes this one for its cluster.
    temp=$(mktemp -d /tmp/medcolor-ray.XXXXXX)
    echo "$temp" >"$state/temp"
    echo "http://127.0.0.1:$dashboard" >"$state/address"
    (umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$state/token")
    rm -f "$state/pid"
    start_node 1 --head --port="$gcs" --dashboard-port="$dashboard" --dashboard-agent-listen-port="$agent" \
        --ray-client-server-port="$client" --temp-dir="$temp" --object-store-memory=200000000
    await 1 head_answers
    for node in $(seq 2 "${NODES:-1}"); do
        # A folder of its own, or two nodes unpack one job into one place at once.
        start_node "$node" --address="127.0.0.1:$gcs" --num-cpus=1 --temp-dir="$(mktemp -d "$temp.XXXX")" \
            --object-store-memory=100000000
    done
    for node in $(seq 2 "${NODES:-1}"); do
        await "$node" has_joined "$node"
    done
    exec 8>&-
    echo "Ray runs at $(cat "$state/address"), token in $state/token (RAY_AUTH_TOKEN_PATH); make cluster-down ends it"
    echo "Prometheus: $temp/prom_metrics_service_discovery.json"
}

# Start a node in a session of its own, and note its process id: start_node NUMBER OPTIONS..
start_node() {
    RAY_AUTH_TOKEN_PATH="$state/token" MEDCOLOR_RAY="$temp" setsid ray start "${@:2}" --block --disable-usage-stats \
        >"$state/log-$1" 2>&1 </dev/null 8>&- &
    echo $! >>"$state/pid"
}

head_answers() { answers "$dashboard" && answers "$agent"; }

# Printed when the head knows the node.
has_joined() { grep -qs "Ray runtime started" "$state/log-$1"; }

# Wait for a node until a command succeeds, as long as all that were started live: await NODE COMMAND..
await() {
    local begin=$SECONDS started living
    mapfile -t started <"$state/pid"
    until "${@:2}"; do
        mapfile -t living < <(jobs -rp)
        if [ ${#living[@]} -lt ${#started[@]} ] || [ $((SECONDS - begin)) -gt "$patience" ]; then
            cat "$state/log-$1" >&2
            end
            fail "Ray did not start within $((SECONDS - begin)) s"
        fi
        sleep 0.2
    done
}

down() {
    alone
    local of words="Ray has ended"
    of=$(sessions) || exit
    [ -n "$of" ] || words="No Ray of make cluster-up runs"
    end
    exec 8>&-
    echo "$words"
}

# End all that is left of the Ray that was started here, and delete its state.
end() {
    local folder of left tried
    folder=$(ray_folder) || exit
    # SIGTERM would drain the node for half a minute; every task may be killed and run again.
    of=$(sessions)
    for tried in $(seq 100); do # a process that was just killed may have begun another
        # shellcheck disable=SC2086 # a list
        left=$(members $of)
        [ -n "$left" ] || break
        # shellcheck disable=SC2086
        kill -KILL $left 2>/dev/null || true
        sleep 0.1
    done
    [ -z "$left" ] || fail "After $tried tries some of these have not ended: $left"
    [ -z "$folder" ] || rm -rf "$folder" "$folder".????
    rm -f "$state/pid" "$state/temp" "$state/address" "$state/token"
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
        up 9>&- # Ray must not hold this lock either
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
