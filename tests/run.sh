#!/bin/bash
# Installs what gridbridge needs on Debian 12, builds it and runs all its tests.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build ccache git curl procps sqlite3 unzip
    libpoco-dev libsqlitecpp-dev libsqlite3-dev libspdlog-dev libtomlplusplus-dev libcli11-dev
    libarchive-dev zlib1g-dev libssl-dev libgtest-dev libgmock-dev)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "Installing: ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

echo 'Building (build/dev)'
cmake --preset dev
cmake --build --preset dev
echo 'Testing'
ctest --preset dev --no-tests=error "$@"
