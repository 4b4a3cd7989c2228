#!/bin/sh
# Poco's network classes belong to http, to the stand-in GitLab and the proxy of tests, SQL to store and to the memory
# of the simulated batch system; the core knows neither Poco nor a certain backend. Argument: the source folder.
set -eu
cd "$1"
code() { grep -rnE --include='*.cpp' --include='*.h' "$@" || true; }
sql='\b(SELECT|INSERT (OR [A-Z]+ )?INTO|DELETE FROM|UPDATE [a-z_]+ SET|PRAGMA|BEGIN IMMEDIATE)\b'
sql="$sql|\b(CREATE|ALTER|DROP) (TABLE|VIEW|INDEX|TRIGGER)\b"
found=$(
    code '#include <Poco/Net/|\bPoco::Net\b' bridge backends tests |
        grep -vE '^((bridge/http|tests/fakegitlab|tests/unit/http)/|tests/fakes/FakeProxy)' || true
    code '#include <(SQLiteCpp|sqlite3)' bridge backends |
        grep -vE '^(bridge/store|backends/simulated)/' || true
    code "$sql" bridge backends | grep -vE '^(bridge/store|backends/simulated)/' || true
    code '#include (<Poco/|"backends/)|\bPoco::' bridge/core | grep -v '"backends/api/' || true
)
[ -z "$found" ] || { printf 'a layer reaches too far:\n%s\n' "$found"; exit 1; }
