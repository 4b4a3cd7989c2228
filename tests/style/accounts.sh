#!/bin/sh
# Who a file or a process belongs to is decided in one file, nowhere else; but for what podman's user namespace holds for a
# job's account, on its node. Argument: the source folder.
set -eu
cd "$1"
found=$(grep -rnE --include='*.cpp' --include='*.h' \
    '\b(set(e|re|res|fs)?[ug]id|setgroups|initgroups|[fl]?chown|fchownat|cap_set_proc)\b|bin/(setpriv|sudo)\b' \
    bridge backends | grep -vE '^bridge/folder/Account\.cpp:|"podman", "unshare", "chown"' || true)
[ -z "$found" ] || { printf 'an account is changed here:\n%s\n' "$found"; exit 1; }
