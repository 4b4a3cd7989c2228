#!/bin/bash
# apptainer.sh: apptainer on Debian 12, which has none, for tests.
#
#   apptainer.sh install   unpack it where it is not yet
#   apptainer.sh path      the program, when it is there and starts
#
# Only Debian's development release `sid` has a package. That and its libraries (80 MB) are only unpacked, see debian.sh.
# Setting: APPTAINER_ENGINE_ROOT=   where; empty = a cache folder of the account
#
# Exit codes: 0 well, 1 it failed, 2 usage, 69 not there, or sid has none today.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

die() { local code=$1; shift; printf 'apptainer.sh: %s\n' "$*" >&2; exit "$code"; }

# shellcheck source=debian.sh
. "$(dirname "$(realpath "$0")")/debian.sh"
# shellcheck source=../../deploy/packages.sh
. "$(dirname "$(realpath "$0")")/../../deploy/packages.sh"
ROOT=$(realpath -m -- "${APPTAINER_ENGINE_ROOT:-$(cache)/apptainer}")
program=$ROOT/usr/bin/apptainer

install() {
    local tmp=$ROOT.new file
    mkdir -p "${ROOT%/*}" && exec 8>"$ROOT.lock" || die 1 "cannot write $ROOT.lock"
    flock -w 600 8 || die 1 "another apptainer.sh unpacks it"
    "$program" version >/dev/null 2>&1 && return
    umask 022
    rm -rf "$tmp"
    suite_lists "$tmp" sid
    unpack_packages "$tmp" apptainer libc6 libgcc-s1 libseccomp2 libsqlite3-0 libstdc++6 zlib1g patchelf
    mkdir -p "$tmp/var/lib/apptainer/mnt/session"
    for file in usr/bin/apptainer usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
        relocate "$tmp" "$ROOT" "$ROOT/usr/lib/x86_64-linux-gnu" "$tmp/$file" || die 1 "$file cannot be changed"
    done
    # It looks for its settings and its mount point from its own place.
    ln -sfn ../etc "$tmp/usr/etc"
    ln -sfn ../../etc "$tmp/usr/lib/etc"
    ln -sfn ../var "$tmp/usr/var"
    ln -sfn ../var "$tmp/usr/lib/var"
    rm -rf "$ROOT"
    mv -T "$tmp" "$ROOT" || die 1 "cannot write $ROOT"
    "$program" version >/dev/null || die 1 "the unpacked apptainer does not start"
}

case ${1:-} in
    install) install_packages "${container_packages[@]}" && install ;;
    path) "$program" version >/dev/null 2>&1 || die 69 "it is not in $ROOT; run $0 install"; echo "$program" ;;
    *) sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
