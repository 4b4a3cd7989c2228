#!/bin/bash
# The example of docs/library.md runs the jobs of a stand-in GitLab. Arguments: the two programs.
set -euo pipefail
example=$1 fakegitlab=$2
dir=$(mktemp -d)
pid=
finish() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"; }
trap finish EXIT
mkdir "$dir/jobs" "$dir/work"
cat >"$dir/jobs/good.toml" <<'J'
script = ["echo the value is $VALUE", "echo the key is $KEY"]
variable = [{ key = "VALUE", value = "it's 5 $" }, { key = "KEY", value = "hunter2-secret", masked = true }]
[expect]
state = "success"
log_contains = ["Running with gridbridge", "the value is it's 5 $\n", "the key is [MASKED]\n"]
J
cat >"$dir/jobs/bad.toml" <<'J'
script = ["echo to stderr >&2", "exit 3", "echo not reached"]
[expect]
state = "failed"
reason = "script_failure"
exit_code = 3
log_contains = ["to stderr"]
J
cat >"$dir/jobs/slow.toml" <<'J'
script = ["sleep 60"]
timeout = 1
[expect]
state = "failed"
reason = "job_execution_timeout"
J
"$fakegitlab" --folder "$dir/jobs" --port-file "$dir/url" --until-done --grace 0 --update-interval 1 >"$dir/out" & pid=$!
for _ in $(seq 200); do [ -s "$dir/url" ] && break; kill -0 "$pid" || { cat "$dir/out"; exit 1; }; sleep 0.05; done
echo "[1, \"$(cat "$dir/url")\", 11, \"glrt-fakegitlab\", {\"info\": {}}]" >"$dir/runner.json"
(cd "$dir/work" && "$example" "$dir/runner.json") || { cat "$dir/out"; exit 1; }
rc=0; wait "$pid" || rc=$?
pid=
[ "$rc" = 0 ] || { cat "$dir/out"; exit 1; }
sed 's/glrt-fakegitlab/glrt-wrong/' "$dir/runner.json" >"$dir/wrong.json"
if "$example" "$dir/wrong.json" 2>"$dir/said"; then echo 'a wrong server was not noticed'; exit 1; fi
[ -s "$dir/said" ] && ! grep -q glrt "$dir/said"
