#!/bin/sh
# Poco's network classes belong to http and transports, SQL to store. Argument: the source folder.
set -eu
cd "$1"
found=$(grep -rnE --include='*.cpp' --include='*.h' '#include <Poco/Net/' bridge backends |
    grep -v '^bridge/http/' || true)
found="$found$(grep -rnE --include='*.cpp' --include='*.h' '#include <(SQLiteCpp|sqlite3)' bridge backends |
    grep -v '^bridge/store/' || true)"
[ -z "$found" ] || { printf 'a layer reaches too far:\n%s\n' "$found"; exit 1; }
