#!/bin/sh
# A test that a page names in backquotes, as `Suite.Test`, exists; a row of a table that says ✔ names one, unless it says
# what others do. Argument: the source folder.
set -eu
cd "$1"
tests=$(find tests -name '*Test.cpp' -o -name '*Contract.cpp' | sort)
known=$(cat /dev/null $tests | tr '\n' ' ' |
    grep -oE '(TYPED_)?TEST(_[FP])?\( *[A-Za-z0-9_]+, *[A-Za-z0-9_]+\)' | sed -E 's/.*\( *([^,]+), *([^)]+)\)/\1.\2/')
wrong=$(find docs -name '*.md' | sort | while read -r page; do
    grep -oE '`[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9]*`' "$page" | tr -d '`' | sort -u | while read -r name; do
        printf '%s\n' "$known" | grep -qxF "$name" || echo "$page: there is no test $name"
    done
    awk -v page="$page" -F '|' '/^\|/ && $3 ~ /✔/ && $4 !~ /`[A-Z][A-Za-z0-9]*\.[A-Z]/ {
        print page ": no test shows" $2 }' "$page"
done)
[ -z "$wrong" ] || { printf '%s\n' "$wrong"; exit 1; }
