# Sourced by the scripts beside it for packages of another Debian release, which are only unpacked: the system's packages,
# package sources and lists stay as they are. The sourcing script has `die CODE TEXT`.

cache() { # the folder for what is unpacked; every account of an engine of root must be able to enter it
    if [[ $(id -u) = 0 ]]; then echo /var/cache/gridbridge-engines; else echo "${XDG_CACHE_HOME:-$HOME/.cache}/gridbridge-engines"; fi
}
debian_mirror() { # the one in apt's own sources
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "Debian" && $3 == "main" {print $4; exit}'
}
suite_lists() { # TMP SUITE: package lists of the suite and settings for them, `apt-get -c TMP/apt/apt.conf`
    local tmp=$1 suite=$2 mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(debian_mirror)
    if [[ -z $mirror && $(id -u) = 0 ]]; then apt-get -qq update && mirror=$(debian_mirror); fi
    [[ -n $mirror ]] || die 69 "apt knows no Debian mirror yet: run apt-get update"
    [[ -r $keys ]] || die 69 "$keys is missing: install debian-archive-keyring"
    mkdir -p "$tmp/apt/lists/partial" "$tmp/apt/cache/archives/partial" "$tmp/debs" || die 1 "cannot write $tmp"
    : >"$tmp/apt/status"
    echo "deb [arch=amd64 signed-by=$keys] $mirror $suite main" >"$tmp/apt/sources.list"
    cat >"$tmp/apt/apt.conf" <<C
Dir::Etc::SourceList "$tmp/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$tmp/apt/lists";
Dir::State::Status "$tmp/apt/status";
Dir::Cache "$tmp/apt/cache";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "$(id -un)";
APT::Get::AllowUnauthenticated "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
C
    apt-get -qq -c "$tmp/apt/apt.conf" update || die 69 "cannot read the package lists of $suite"
}
unpack_packages() { # TMP PACKAGE...: into TMP, whose lists suite_lists has fetched and which nobody needs any more
    local tmp=$1 file
    shift
    (cd "$tmp/debs" && apt-get -qq -c "$tmp/apt/apt.conf" download "$@") || die 69 "cannot download $*"
    for file in "$tmp"/debs/*.deb; do dpkg-deb -x "$file" "$tmp" || die 1 "cannot unpack $file"; done
    rm -rf "$tmp/debs" "$tmp/apt"
}
relocate() { # TMP ROOT PATH FILE...: programs in TMP, with patchelf there, will use the loader in ROOT and libraries in PATH
    local tmp=$1 root=$2 path=$3
    shift 3
    "$tmp/usr/lib64/ld-linux-x86-64.so.2" --library-path "$tmp/usr/lib/x86_64-linux-gnu" "$tmp/usr/bin/patchelf" \
        --force-rpath --set-interpreter "$root/usr/lib64/ld-linux-x86-64.so.2" --set-rpath "$path" "$@"
}
