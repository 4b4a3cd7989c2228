#!/bin/sh
# No source file over 500 lines: beyond that it holds more than one idea. Argument: the source folder.
set -eu
cd "$1"
long=$(find bridge backends tests -name '*.cpp' -o -name '*.h' | xargs wc -l |
    awk '$2 != "total" && $1 > 500 { print $2 ": " $1 " lines" }')
[ -z "$long" ] || { printf 'too long:\n%s\n' "$long"; exit 1; }
