#!/bin/sh
# Time comes in through Clock: only SystemClock.cpp asks the machine. Argument: the source folder.
set -eu
cd "$1"
found=$(grep -rnE --include='*.cpp' --include='*.h' \
    '_clock::now|this_thread::sleep|usleep\(|gettimeofday|clock_gettime|Poco::(Timestamp|Clock|DateTime|Stopwatch)' \
    bridge backends | grep -v '^bridge/base/SystemClock.cpp:' || true)
[ -z "$found" ] || { printf 'the clock is read directly here:\n%s\n' "$found"; exit 1; }
