#!/bin/sh
# What `cmake --install` gives an operator. Argument: the build folder.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
DESTDIR=$folder cmake --install "$1" > /dev/null

one() {
    found=$(find "$folder" -path "*/$1")
    [ -f "$found" ] || { echo "not installed: $1" >&2; exit 1; }
    echo "$found"
}
unit=$(one systemd/system/gridbridge.service)
program=$(sed -n 's/^ExecStart=\([^ ]*\) run$/\1/p' "$unit")
"$folder$program" --help | grep -q '^Subcommands:'
for line in Type=notify WatchdogSec= KillMode=process OOMPolicy=continue; do
    grep -q "^$line" "$unit" || { echo "the unit lacks $line" >&2; exit 1; }
done
grep -q '^\.SH COMMANDS' "$(one man/man1/gridbridge.1)"
grep -q 'maximum\\-timeout' "$(one man/man1/register-runner.1)"
for name in gridbridge register-runner; do
    bash -euc ". '$(one bash-completion/completions/$name)'; complete -p $name > /dev/null"
done
one doc/gridbridge/operations.md > /dev/null
