#!/bin/bash
# The program end to end: a real git clone with the job's token, and the exit code that says whether every
# job ended as its file expects. Argument: the program.
set -euo pipefail
program=$1
dir=$(mktemp -d)
pid=
finish() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"; }
trap finish EXIT
mkdir -p "$dir/jobs/repositories/physics/detector"
echo 'int main() {}' >"$dir/jobs/repositories/physics/detector/main.cpp"
cat >"$dir/jobs/clone.toml" <<'J'
project = "physics/detector"
[expect]
state = "failed"
reason = "script_failure"
exit_code = 3
log_contains = ["cloned"]
J
serve() {
    rm -f "$dir/url"
    "$program" --folder "$dir/jobs" --port-file "$dir/url" --until-done --grace 0 "$@" >"$dir/out" & pid=$!
    for _ in $(seq 200); do [ -s "$dir/url" ] && break; kill -0 "$pid" || { cat "$dir/out"; exit 1; }; sleep 0.05; done
    url=$(cat "$dir/url")
    body=$(curl -sf -H 'Content-Type: application/json' "$url/api/v4/jobs/request" -d '{"token":"glrt-fakegitlab",
        "system_id":"s_0123456789ab","info":{"features":{"refspecs":true}}}')
    id=$(sed -E 's/^\{"id":([0-9]+).*/\1/' <<<"$body")
    token=$(sed -E 's/.*"token":"(glcbt-[^"]*)".*/\1/' <<<"$body")
    put() { curl -sf -o "$dir/answer" -X PUT -H 'Content-Type: application/json' "$url/api/v4/jobs/$id" -d "$1"; }
    put "{\"token\":\"$token\",\"state\":\"running\"}"
}
end() {
    curl -sf -o "$dir/answer" -X PATCH -H 'Content-Type: text/plain' -H "JOB-TOKEN: $token" -H 'Content-Range: 0-5' \
        "$url/api/v4/jobs/$id/trace" --data-binary cloned
    crc=$(printf cloned | gzip -c | tail -c 8 | head -c 4 | od -An -tx4 | tr -d ' ')
    put "{\"token\":\"$token\",\"state\":\"failed\",\"failure_reason\":\"script_failure\",\"exit_code\":$1,
        \"output\":{\"checksum\":\"crc32:$crc\",\"bytesize\":6}}"
    rc=0; wait "$pid" || rc=$?
    pid=
}

serve
rc=0; timeout 20 "$program" --folder "$dir/jobs" --port "${url##*:}" >"$dir/second" 2>&1 || rc=$?
[ "$rc" = 74 ] && grep -q "^fakegitlab: .*in use: 127.0.0.1:${url##*:}; name another --port$" "$dir/second" ||
    { cat "$dir/second"; echo "a port that is taken was shared, exit $rc"; exit 1; }
rc=0; "$program" --folder "$dir/nowhere" 2>"$dir/second" || rc=$?
[ "$rc" = 74 ] && grep -q "nowhere is no folder; name one" "$dir/second" || { cat "$dir/second"; exit 1; }
git clone -q "${url/127/gitlab-ci-token:$token@127}/physics/detector.git" "$dir/clone"
cmp "$dir/clone/main.cpp" "$dir/jobs/repositories/physics/detector/main.cpp"
if GIT_TERMINAL_PROMPT=0 git clone -q "${url/127/gitlab-ci-token:wrong@127}/physics/detector.git" "$dir/no" 2>/dev/null; then
    echo 'a wrong token could clone'; exit 1
fi
end 3
[ "$rc" = 0 ] || { cat "$dir/out"; echo "expected outcome, but exit $rc"; exit 1; }
grep -q 'all as expected' "$dir/out"

serve
end 4
[ "$rc" = 1 ] || { cat "$dir/out"; echo "unexpected outcome, but exit $rc"; exit 1; }
grep -q 'exit code is 4 instead of 3' "$dir/out"

serve --fault 503=0 --fault upload-answer-lost=1
end 3
[ "$rc" = 1 ] && grep -q '^fault upload-answer-lost: 0$' "$dir/out" && ! grep -q 'fault 503' "$dir/out" ||
    { cat "$dir/out"; echo "a fault that never struck passed, exit $rc"; exit 1; }

echo 'scirpt = ["true"]' >>"$dir/jobs/typo.toml"
if "$program" --folder "$dir/jobs" >"$dir/out" 2>&1; then echo 'a typo was accepted'; exit 1; fi
grep -q 'typo.toml:1: unknown key scirpt' "$dir/out"
