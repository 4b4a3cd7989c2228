#!/bin/bash
# The table has to fail for an answer that was never given to whom it must be, and for a violation that nobody saw; and
# to judge nothing but violations when only part of the tests ran.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/records" "$dir/Testing/Temporary"
printf '# a comment\n\nPUT x|200|-|gridbridge\nPUT x|400|-|any\n' >"$dir/list"
printf '#!/bin/sh\necho "  Test  #4: a.b"\necho "  Test #12: c"\necho\necho "Total Tests: 2"\n' >"$dir/ctest"
chmod +x "$dir/ctest"
ended() { printf '%s\n' "$@" >"$dir/Testing/Temporary/CTestCheckpoint.txt"; }
record() { printf '%b\n' "$@" >"$dir/records/1"; }
table() {
    rc=0
    "$(dirname "$0")/answers.sh" "$dir/list" "$dir/records" "$dir/ctest" "$dir" >"$dir/out" || rc=$?
    [ "$rc" = "$1" ] || { echo "exit $rc instead of $1:"; cat "$dir/out"; exit 1; }
    [ -z "${2:-}" ] || grep -q "$2" "$dir/out" || { echo "not said: $2"; cat "$dir/out"; exit 1; }
}
well='answer\tPUT x\t200\t-\tgridbridge\t3'

ended 4 12
record "$well" 'answer\tPUT x\t400\t-\tother\t1'
table 0 'PUT x  *200  *-  *3  *0'
record "$well"
table 1 'never given to anybody: PUT x.400'
record 'answer\tPUT x\t200\t-\tother\t3' 'answer\tPUT x\t400\t-\tother\t1'
table 1 'never given to gridbridge: PUT x.200'
record "$well" 'answer\tPUT x\t400\t-\tother\t1' 'violation\ta token in the log'
table 1 'no test looked at: a token in the log'
ended 12
table 1 'a token in the log'
record "$well"
table 0 'not judged: 1 tests'
rm "$dir/Testing/Temporary/CTestCheckpoint.txt" "$dir/records/1"
table 0 'not judged: 2 tests'
