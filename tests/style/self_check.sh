#!/bin/sh
# A rule that cannot fail is no rule: each has to refuse every bad sample by name, and to pass the
# good ones. Arguments: the folder of the rules, and the name of one.
set -eu
rules=$1
rule=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree/bridge/core" "$tree/backends" "$tree/tests" "$tree/docs"
printf 'SteadyTime Reconciler::step() {\n    if (commit(ready)) {\n        start(ready);\n    }\n}\n' \
    >"$tree/bridge/core/Reconciler.cpp"

# Puts the lines of stdin into a file of the tree, and its name into the list `bad` or `good`.
sample() {
    mkdir -p "$tree/$(dirname "$2")"
    cat >"$tree/$2"
    echo "$2" >>"$work/$1"
}
lines() { i=0; while [ "$i" -lt "$1" ]; do echo "$2"; i=$((i + 1)); done; }

case $rule in
no_direct_clock)
    echo 'auto now = std::chrono::steady_clock::now();' | sample bad bridge/a/Now.cpp
    echo 'std::this_thread::sleep_for(pause);' | sample bad backends/b/Sleep.h
    echo 'Poco::Timestamp now;' | sample bad bridge/c/Poco.cpp
    echo 'auto now = clock_.steadyNow();' | sample good bridge/a/Good.cpp
    ;;
file_length)
    lines 501 'int a;' | sample bad bridge/a/Long.cpp
    lines 501 'int a;' | sample bad tests/unit/LongTest.cpp
    lines 500 'int a;' | sample good backends/b/Full.h
    ;;
layers)
    echo '#include <Poco/Net/HTTPClientSession.h>' | sample bad backends/b/Network.h
    echo '#include <Poco/Net/NetException.h>' | sample bad tests/unit/core/NetworkTest.cpp
    echo '#include <sqlite3.h>' | sample bad bridge/app/Database.cpp
    echo 'run("SELECT id FROM job");' | sample bad bridge/app/Select.cpp
    echo 'run("UPDATE job SET state = ?");' | sample bad backends/b/Update.cpp
    echo '#include <Poco/URI.h>' | sample bad bridge/core/Uri.cpp
    echo '#include "backends/local/LocalBackend.h"' | sample bad bridge/core/Local.cpp
    echo '#include <Poco/Net/HTTPClientSession.h>' | sample good bridge/http/Network.h
    echo 'run("SELECT id FROM job");' | sample good bridge/store/Select.cpp
    printf '#pragma once\n// Begin to select and update jobs.\n' | sample good bridge/app/Words.h
    echo '#include "backends/api/Backend.h"' | sample good bridge/core/Api.h
    ;;
decide_is_pure)
    echo '#include <fstream>' | sample bad bridge/core/DecisionFiles.cpp
    echo '#include "bridge/store/JobStore.h"' | sample bad bridge/core/Facts.h
    echo '#include <spdlog/logger.h>' | sample bad bridge/core/Decision.h
    echo '#include "backends/local/LocalBackend.h"' | sample bad backends/api/Backend.h
    echo 'auto now = clock.wallNow();' | sample bad bridge/core/DecisionSteps.cpp
    printf '#include <string>\n#include "bridge/store/JobRecord.h"\n' |
        sample good bridge/core/Decision.cpp
    echo '#include <fstream>' | sample good bridge/core/Trace.cpp
    ;;
accounts)
    echo '::seteuid(uid);' | sample bad bridge/app/Euid.cpp
    echo '::setfsuid(uid);' | sample bad backends/b/Fsuid.cpp
    echo '::fchown(fd, uid, gid);' | sample bad bridge/core/Chown.cpp
    echo 'argv = {"/usr/bin/setpriv"};' | sample bad bridge/base/Argv.cpp
    echo 'words = {"/usr/bin/sudo", "-n"};' | sample bad backends/b/Words.cpp
    echo '::fchown(fd, uid, gid);' | sample bad bridge/folder/Files.cpp
    echo '::fchown(fd, uid, gid);' | sample good bridge/folder/Account.cpp
    echo 'if (::geteuid() == 0) {' | sample good bridge/app/Root.cpp
    ;;
effects)
    echo 'effects_.submit(entry, jobs);' | sample bad bridge/core/Preparation.cpp
    echo 'Effects effects_;' | sample bad bridge/app/Daemon.h
    echo 'entry.backend.cancel(context, requests);' | sample bad bridge/app/Commands.cpp
    echo 'parts.backend->release(context, refs);' | sample bad bridge/core/Claimer.cpp
    echo 'entry.backend.submit(context, jobs);' | sample good bridge/core/Effects.cpp
    echo 'entry.backend.observe(context, refs);' | sample good bridge/app/Check.cpp
    ;;
function_length)
    { echo 'int tooLong(int a) {'; lines 39 '    ++a;'; echo '}'; } | sample bad bridge/a/Free.cpp
    { printf 'class A {\npublic:\n    int tooLong(int a) {\n'; lines 39 '        ++a;'
        printf '    }\n};\n'; } | sample bad bridge/a/Member.h
    { printf 'A::A(int a)\n    : a_(a) {\n'; lines 38 '    ++a_;'; echo '}'; } |
        sample bad backends/b/Constructor.cpp
    { echo 'int fits(int a) {'; lines 38 '    ++a;'; echo '}'; lines 30 'int b;'; } |
        sample good bridge/a/Fits.cpp
    { echo 'std::string text() {'; echo '    return R"x(if true; then'; lines 60 '}'; echo ')x";'
        echo '}'; } | sample good bridge/a/Raw.cpp
    { echo 'constexpr std::array<int, 60> kTable = {'; lines 60 '    1,'; echo '};'; } |
        sample good bridge/a/Table.cpp
    ;;
named_tests)
    printf 'TEST_F(AlphaTest, First) {\n}\nTEST(AlphaTest,\n     Second) {\n}\n' >"$tree/tests/AlphaTest.cpp"
    echo 'As `AlphaTest.Frist` shows.' | sample bad docs/typo.md
    echo 'As `BetaTest.First` shows.' | sample bad docs/gone.md
    printf '| What | Ours | Shown by |\n| a | ✔ | |\n' | sample bad docs/unproven.md
    printf 'As `AlphaTest.First` shows.\n| a | ✔ | `AlphaTest.Second` | ✔ |\n| b | ✘ | | ✔ |\n' | sample good docs/well.md
    echo 'See `Decision.cpp`.' | sample good docs/file.md
    ;;
shown_code)
    printf 'int a;\nint b;\nint c;\n' >"$tree/bridge/Shown.cpp"
    printf '```cpp\n// bridge/Shown.cpp\nint a;\nint c;\n```\n' | sample bad docs/changed.md
    printf '```cpp\n// bridge/Gone.cpp\nint a;\n```\n' | sample bad docs/lost.md
    printf 'See\n```cpp\n// bridge/Shown.cpp\nint b;\nint c;\n```\n' | sample good docs/same.md
    printf '```cpp\n#include "x.h"\nint z;\n```\n' | sample good docs/own.md
    ;;
*)
    echo "no sample for the rule $rule"
    exit 1
    ;;
esac

if said=$("$rules/$rule.sh" "$tree"); then
    echo "$rule passes bad code"
    exit 1
fi
while read -r file; do
    echo "$said" | grep -q "$file" || { printf '%s does not see %s:\n%s\n' "$rule" "$file" "$said"; exit 1; }
    rm "$tree/$file"
done <"$work/bad"
while read -r file; do
    ! echo "$said" | grep -q "$file" || { printf '%s refuses %s:\n%s\n' "$rule" "$file" "$said"; exit 1; }
done <"$work/good"
"$rules/$rule.sh" "$tree"

# The place of a start within the reconciler is seen as well.
if [ "$rule" = effects ]; then
    printf 'void Reconciler::hear() {\n    effects_.find(backend, job, live);\n}\n' >>"$tree/bridge/core/Reconciler.cpp"
    ! "$rules/$rule.sh" "$tree" >"$work/said" || { echo "$rule passes a start before the commit"; exit 1; }
    printf 'SteadyTime Reconciler::step() {\n    start(ready);\n}\n' >"$tree/bridge/core/Reconciler.cpp"
    ! "$rules/$rule.sh" "$tree" >"$work/said" || { echo "$rule passes a start without a commit"; exit 1; }
fi
