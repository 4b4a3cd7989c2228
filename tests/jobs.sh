#!/bin/bash
# Runs the job files of tests/fixtures/jobs through the real program with its local backend, and compares what GitLab
# received of each with what was written down beside it. Argument: a build folder, build/dev when none is given. One job needs
# the tree of another under the same path: this machine must allow mount namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${1:-build/dev}")
place=$(mktemp -d)
gitlab= service=
finish() {
    local code=$?
    for pid in $service $gitlab; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    [ "$code" = 0 ] || { echo '--- the end of the log of the service'; tail -n 20 "$place/service.log" 2>/dev/null || true; }
    rm -rf "$place"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

cp -R tests/fixtures/jobs/repositories "$place/repositories"
# Among the fixtures this file would tell the git of this repository to keep them as objects of Git LFS.
echo '*.dat filter=lfs diff=lfs merge=lfs -text' >"$place/repositories/detectors/calibration/.gitattributes"
"$bin/fakegitlab/fakegitlab" --folder tests/fixtures/jobs --repositories "$place/repositories" \
    --port-file "$place/url" --until-done --update-interval 1 >"$place/gitlab.log" 2>&1 & gitlab=$!
until [ -s "$place/url" ]; do kill -0 "$gitlab"; sleep 0.1; done
mkdir -m 700 "$place/state"
mkdir "$place/work" "$place/cache" "$place/builds"
(umask 077; cat >"$place/config.toml" <<C
check_interval = 1
state_dir = "$place/state"
[[runners]]
name = "jobs"
url = "$(cat "$place/url")"
token = "glrt-fakegitlab"
backend = "here"
limit = 20
cache_dir = "$place/cache"
[backends.here]
type = "local"
slots = 4
trusted_jobs = true
work_dir = "$place/work"
builds_dir = "$place/builds"
poll_interval = 1
C
)
"$bin/bridge/app/gridbridge" run --config "$place/config.toml" >"$place/service.log" 2>&1 & service=$!
rc=0
wait -n "$gitlab" "$service" || rc=$?
kill -0 "$service" || { echo 'the service has ended'; exit 1; }
gitlab=
sed -n '/^JOB /,$p' "$place/gitlab.log"
exit "$rc"
