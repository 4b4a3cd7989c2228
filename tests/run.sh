#!/bin/bash
# Installs what gridbridge needs on Debian 12, builds it and runs all its tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/packages.sh

install_packages "${build_packages[@]}"
echo 'Building (build/dev)'
cmake --preset dev
cmake --build --preset dev
echo 'Testing'
ctest --preset dev --no-tests=error -j "$(nproc)" "$@"
