#!/bin/sh
# Who a file or a process belongs to is decided in folder and in the code that starts processes,
# nowhere else. Argument: the source folder.
set -eu
cd "$1"
found=$(grep -rnE --include='*.cpp' --include='*.h' \
    '\b(set(e|re|res|fs)?[ug]id|setgroups|initgroups|[fl]?chown|fchownat|cap_set_proc|setpriv)\b' \
    bridge backends | grep -vE '^bridge/(folder/|base/(Spawn|Process)\.)' || true)
[ -z "$found" ] || { printf 'an account is changed here:\n%s\n' "$found"; exit 1; }
