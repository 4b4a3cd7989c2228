#!/bin/sh
# Only Reconciler::step starts effects, and only after the commit. Argument: the source folder.
set -eu
cd "$1"
core=bridge/core/Reconciler.cpp
found=$(
    # Nobody else has the effects, or changes anything in a batch system beside them.
    grep -rnE --include='*.cpp' --include='*.h' '\beffects_(\.|->)|\bEffects [a-z]+_?[;({]' bridge |
        grep -vE '^bridge/core/Reconciler\.(cpp|h):' || true
    grep -rnE --include='*.cpp' --include='*.h' 'backend(_|\(\))?(\.|->)(submit|cancel|collect|release)\(' \
        bridge | grep -v '^bridge/core/Effects.cpp:' || true
    # Within it: what follows the commit, and the polls, which change nothing.
    awk '/^[A-Za-z].*Reconciler::[a-zA-Z]+\(/ {
            name = $0
            sub(/\(.*/, "", name)
            sub(/.*::/, "", name)
        }
        /effects_\./ && name !~ /^(start|startOne|carryOut)$/ &&
            !(name == "poll" && /effects_\.(look|probe)\(/) {
            print FILENAME ":" FNR ":" $0
        }
        /^    .*[^a-zA-Z_]start\(|^    start\(/ && !(name == "step" && before ~ /if \(commit\(/) {
            print FILENAME ":" FNR ":" $0 "  (not behind the commit)"
        }
        { before = $0 }' "$core"
)
[ -z "$found" ] || { printf 'an effect starts here:\n%s\n' "$found"; exit 1; }
