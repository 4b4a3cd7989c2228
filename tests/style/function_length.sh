#!/bin/sh
# No function over 40 lines without a reason. Argument: the source folder.
set -eu
rules=$(cd "$(dirname "$0")" && pwd)
cd "$1"
long=$(find bridge backends -name '*.cpp' -o -name '*.h' |
    xargs awk -v most=40 -f "$rules/function_length.awk")
[ -z "$long" ] || { printf 'too long:\n%s\n' "$long"; exit 1; }
