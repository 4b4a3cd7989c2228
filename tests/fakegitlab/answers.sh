#!/bin/bash
# Prints which call was given which answer in this run of ctest, and how often: to the project's own client, and to
# others (plain HTTP of the stand-in's own tests, the simulation, git). Fails when a violation of the protocol was seen by
# no test, or when an answer of the list was never given. The latter is judged only after a run of all tests.
# Arguments: the list, the folder of the records, ctest, the build folder.
set -euo pipefail
list=$1 records=$2 ctest=$3 build=$4
shopt -s nullglob
files=("$records"/*)
# ctest notes here the number of every test that has ended, for its option -F. The list of all tests is asked for
# elsewhere: in its own folder ctest would write over the log of the run.
ended=$build/Testing/Temporary/CTestCheckpoint.txt
[ -e "$ended" ] || ended=/dev/null
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
echo "subdirs(\"$build\")" >"$aside/CTestTestfile.cmake"
open=$(cd "$aside" && "$ctest" -N -LE '^(unit|style)$' | sed -n 's/^ *Test *#\([0-9]*\): .*/\1/p' |
    awk 'FILENAME == ARGV[1] { ended[$1] = 1; next } !($1 in ended) { ++open } END { print open + 0 }' "$ended" -)

awk -F '\t' -v open="$open" '
FILENAME == ARGV[1] {
    if ($0 != "" && $0 !~ /^#/) {
        split($0, field, "|")
        wanted[field[1] "\t" field[2] "\t" field[3]] = field[4]
    }
    next
}
$1 == "violation" { print "violation that no test looked at: " $2; bad = 1 }
$1 == "answer" { key = $2 "\t" $3 "\t" $4; seen[key] = 1; given[key, $5] += $6 }
END {
    form = "%-46s %6s  %-20s %10s %10s\n"
    printf form, "call", "status", "", "gridbridge", "others"
    fflush()
    sorted = "sort"
    for (key in seen) {
        split(key, field, "\t")
        printf form, field[1], field[2], field[3], given[key, "gridbridge"] + 0, given[key, "other"] + 0 | sorted
    }
    close(sorted)
    for (key in wanted) {
        total = given[key, "gridbridge"] + (wanted[key] == "any" ? given[key, "other"] : 0)
        if (total == 0) {
            missing = missing "never given to " (wanted[key] == "any" ? "anybody" : wanted[key]) ": " key "\n"
        }
    }
    if (open > 0) {
        print "not judged: " open " tests of this suite did not run"
        exit bad
    }
    printf "%s", missing
    exit bad || missing != ""
}' "$list" "${files[@]}"
