#!/bin/bash
# Installs what gridbridge needs on Debian 12, builds it and runs all its tests.
# Arguments: a preset (dev, asan, fuzz), then whatever ctest takes.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/packages.sh
preset=${1:-dev}

install_packages "${build_packages[@]}"
[ "$preset" != fuzz ] || install_packages "${fuzz_packages[@]}"
echo "Building (build/$preset)"
cmake --preset "$preset"
cmake --build --preset "$preset"
echo "Testing ($preset)"
# Tests mostly wait, those of batch systems the most.
each=2
[ "$preset" != dev ] || each=3
ctest --preset "$preset" --no-tests=error -j "$((each * $(nproc)))" "${@:2}" && exit
rc=$?
# Why, and the summary again, for who reads only the end.
log="build/$preset/Testing/Temporary"
grep -A6 -E ': Failure$|(ERROR|WARNING): .*Sanitizer|runtime error' "$log/LastTest.log" | cut -c -300 | tail -n 12 || true
echo 'The following tests FAILED:'
sed -E 's/^([0-9]+):(.*)/\t\1 - \2 (Failed)/' "$log/LastTestsFailed.log"
exit "$rc"
