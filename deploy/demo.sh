#!/bin/bash
# The whole way once: a stand-in GitLab with a small project and a pipeline of ten jobs in three stages, the
# service with its local backend, kill -9 in the middle, and a judgement of what GitLab recorded.
# Argument: the slurm.conf of a cluster, or the condor_config of a pool, whose nodes see the temporary folder; or `diracx`
# or `arc`, for a private one of tests/engines, whose nodes see nothing of the service. Then the jobs run there: in the
# configuration the line `backend` of the runner is another one.
# DEMO_BUILD=   the folder of a finished build; empty = build/dev, which is brought up to date first
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/packages.sh

build=${DEMO_BUILD:-}
if [ -z "$build" ]; then
    install_packages "${build_packages[@]}"
    echo 'Building (build/dev)'
    cmake --preset dev >/dev/null
    cmake --build --preset dev --target gridbridge fakegitlab | tail -n 1
    build=$PWD/build/dev
fi
bin=$build/bridge/app/gridbridge
fake=$build/fakegitlab/fakegitlab

demo=$(mktemp -d "${TMPDIR:-/tmp}/gridbridge-demo-XXXXXX")
chmod 711 "$demo"
account= gitlab= service= engine= system=${1:-}
# Jobs outlive their service: when the demo is interrupted they are ended with their sessions.
end_jobs() {
    local pid session
    for pid in $(pgrep -f "$demo/spool/"); do
        session=$(ps -o sess= -p "$pid") && pkill -KILL -s "${session// /}" || true
    done
}
finish() {
    local code=$?
    for pid in $service $gitlab; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    end_jobs
    if [ -n "$engine" ]; then "tests/engines/$system.sh" down "$engine"; fi
    if [ -n "$account" ]; then userdel "$account" 2>/dev/null || true; fi
    [ "$code" = 0 ] || { echo "--- the end of the service's log"; tail -n 20 "$demo/service.log" 2>/dev/null; }
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

cp "$bin" "$demo/gridbridge"  # the account of the jobs must be able to run it, wherever this folder is
bin=$demo/gridbridge
mkdir -m 700 "$demo/state"
mkdir "$demo/spool" "$demo/spool/here"
mkdir -m 1777 "$demo/cache"
if [ "$(id -u)" = 0 ]; then
    account=gbdemo$$
    useradd --system --no-create-home --shell /usr/sbin/nologin "$account"
    how="run_as = \"$account\""
    echo "Jobs run as the account $account, which exists for this demo only"
else
    how='trusted_jobs = true'
fi
mkdir "$demo/jobs"
cp deploy/demo/jobs/* "$demo/jobs"
case $system in
    '') backend=here other= ;;
    diracx)
        backend=grid engine=$demo/engine
        # No script says anything before its end, and a kill leaves nothing of it.
        sed -i -e 's/^cancel_when.*/cancel_when = "Submitted as"/' -e 's/^log_contains.*/log_contains = ["Submitted as"]/' \
            "$demo/jobs/cancelled.toml"
        [ -z "$account" ] || cat >"$demo/jobs/alone.toml" <<C
stage = "build"
script = ["echo me \$(id -un)", "ls -A $demo/state && ls -A $demo/spool/grid && echo nothing of the service"]
[expect]
state = "success"
log_contains = ["\nme $account\n", "\nnothing of the service\n"]
C
        tests/engines/diracx.sh up "$engine" ${account:+--run-as "$account" --hide "$demo/state:$demo/spool/grid"} >/dev/null
        . "$engine/env.sh"
        other="type = \"diracx\"
url = \"$DIRACX_URL\"
tls_ca_file = \"$DIRACX_CA_PATH\"
credentials = \"$DIRACX_CREDENTIALS_PATH\"" ;;
    arc)
        backend=ce engine=$demo/engine
        tests/engines/arc.sh up "$engine" >/dev/null
        . "$engine/env.sh"
        other="type = \"arc\"
url = \"$ARC_URL\"
tls_ca_file = \"$ARC_CA_FILE\"
tls_cert_file = \"$ARC_CERT\"
tls_key_file = \"$ARC_KEY\"" ;;
    *condor_config)
        backend=pool
        other="type = \"htcondor\"
condor_config = \"$1\"
bin_dir = \"$(dirname "$(dirname "$1")")/bin\"
submit_options = [\"request_memory = 64 MB\", \"request_disk = 64 MB\"]
$how" ;;
    *)
        backend=cluster
        other="type = \"slurm\"
slurm_conf = \"$1\"
$how" ;;
esac

"$fake" --folder "$demo/jobs" --repositories deploy/demo/repositories --port-file "$demo/url" --until-done \
    --allow-repeats 3 --update-interval 1 --results "$demo/results.json" --traces "$demo/traces" \
    >"$demo/gitlab.log" 2>&1 & gitlab=$!
for _ in $(seq 100); do [ -s "$demo/url" ] && break; sleep 0.1; done
url=$(cat "$demo/url")
echo "The stand-in GitLab serves the pipeline at $url"

(umask 077; cat >"$demo/config.toml" <<C
check_interval = 1
state_dir = "$demo/state"

[[runners]]
name = "demo"
url = "$url"
token = "glrt-fakegitlab"
backend = "$backend"
limit = 10
cache_dir = "$demo/cache"
allowed_projects = ["physics/detector"]

[backends.here]
type = "local"
slots = 4
work_dir = "$demo/spool/here"
poll_interval = 1
$how
C
[ "$backend" = here ] || cat >>"$demo/config.toml" <<C

[backends.$backend]
$other
work_dir = "$demo/spool/$backend"
poll_interval = 1
C
)
"$bin" check --config "$demo/config.toml"
start() { "$bin" run --config "$demo/config.toml" >>"$demo/service.log" 2>&1 & service=$!; }
# The table of jobs as it changes: in place on a terminal, one after the other elsewhere.
shown= lines=0
table() {
    local now
    [ "$(count 'SELECT count(*) FROM runner')" -gt 0 ] || return 0  # The service has just begun.
    now=$("$bin" jobs --all --config "$demo/config.toml")
    [ "$now" != "$shown" ] || return 0
    if [ -t 1 ] && [ "$lines" -gt 0 ]; then printf '\033[%dA\033[J' "$lines"; fi
    printf '%s  %s\n%s\n' "$(date +%T)" "${1:-}" "$now"
    shown=$now
    lines=$(($(wc -l <<<"$now") + 1))
}
count() { sqlite3 -readonly "$demo/state/gridbridge.db" "$1" 2>/dev/null || echo 0; }

start
killed=
for _ in $(seq 240); do
    kill -0 "$gitlab" 2>/dev/null || break
    if [ -z "$killed" ] && [ "$(count "SELECT count(*) FROM job WHERE state = 'running' AND stage = 'test'")" -ge 3 ]; then
        table 'three jobs of the second stage run'
        echo "kill -9 $service: the service is gone, its jobs run on"
        kill -9 "$service"
        wait "$service" 2>/dev/null || true
        killed=yes
        start
        echo 'and started again'
        lines=0
    fi
    table
    sleep 0.5
done
rc=0
wait "$gitlab" || rc=$?
gitlab=
for _ in $(seq 60); do [ "$(count "SELECT count(*) FROM open_jobs")" = 0 ] && break; sleep 0.5; done

lines=0 shown=
echo
table 'at the end'
echo
echo 'The log of one job, as GitLab has it:'
"$bin" log "$(count "SELECT gitlab_id FROM job WHERE name = 'fails'")" --config "$demo/config.toml"
echo
echo 'What GitLab recorded, beside what each job file expects:'
sed -n '/^JOB /,$p' "$demo/gitlab.log"
kill "$service"
wait "$service" || rc=$?
service=
[ -n "$killed" ] || { echo 'the service was never killed: the demo has shown nothing'; rc=1; }
echo
echo "Look further:  sqlite3 -readonly $demo/state/gridbridge.db 'SELECT * FROM job_overview'"
exit "$rc"
