#!/bin/sh
# decide() sees plain types of core, store, base and backends/api alone, and calls nothing that
# reads, writes or asks the time. Argument: the source folder.
set -eu
cd "$1"
# Closed: what these files may include is among them, or is of the standard library below.
files='bridge/core/Decision*.cpp bridge/core/Decision*.h bridge/core/Verdict.cpp bridge/core/Facts.h
    bridge/core/JobLines.* bridge/core/Lines.* bridge/store/JobRecord.h backends/api/Backend.h
    bridge/base/Check.h bridge/base/Clock.h bridge/base/Keys.h bridge/base/Result.h'
own='bridge/core/(Decision|DecisionSteps|Facts|JobLines|Lines)|bridge/store/JobRecord|backends/api/Backend'
own="$own|bridge/base/(Check|Clock|Keys|Result)"
std='algorithm|array|bitset|chrono|compare|csignal|cstddef|cstdint|functional|limits|map|optional'
std="$std|set|span|stop_token|string|string_view|tuple|type_traits|utility|variant|vector"
# shellcheck disable=SC2086  # The list is words and patterns.
found=$(grep -nE '#include' $files 2>/dev/null | grep -vE "#include (\"($own)\.h\"|<($std)>)" || true)
found="$found$(grep -nE '\b(wallNow|steadyNow|sleepUntil)\(' bridge/core/Decision*.cpp \
    bridge/core/Verdict.cpp bridge/core/JobLines.cpp bridge/core/Lines.cpp 2>/dev/null || true)"
[ -z "$found" ] || { printf 'decide() reaches further than plain types:\n%s\n' "$found"; exit 1; }
