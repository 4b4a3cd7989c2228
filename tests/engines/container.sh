#!/bin/bash
# container.sh: podman without root and without systemd, for tests on one Debian 12 machine. Needs root.
#
#   container.sh up DIR       make an account with a home in DIR and images in its store, start a registry
#   container.sh down DIR     end its processes, remove the account
#   container.sh status DIR   the account's images and containers
#
# The account's name is in DIR/account. Its images, of busybox, without bash, git and curl:
#   localhost/gridbridge/small    /in-image says `small`
#   localhost/gridbridge/entry    the same with an entrypoint that fails
# The registry on 127.0.0.1, without TLS, has private/small for the user `bot` with the password `pass-word-of-bot`;
# its host and port are in DIR/registry.
# DIR/root holds the files of `small`; what apptainer.sh has unpacked is found in /usr/local/bin as long as the account is
# there, when CONTAINER_ENGINE_APPTAINER=1 wants it and there is no other; DIR/apptainer is there when it runs here.
# Read by every `up`:
#   CONTAINER_ENGINE_INSTALLED_ONLY=   not empty: nothing is installed, exit code 69 says that something is missing
#
# Exit codes: 0 well, 1 it failed, 2 usage, 3 status: there is no account, 69 packages missing, 75 this machine
# has no user namespaces, which no package can mend: tests are then skipped, also with GRIDBRIDGE_REQUIRE_ENGINES=1.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'container.sh: %s\n' "$*" >&2; }
die() { local code=$1; shift; say "$*"; exit "$code"; }
usage() { sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit "$1"; }

# shellcheck source=../../deploy/packages.sh
. "$(dirname "$(realpath "$0")")/../../deploy/packages.sh"

need() {
    local program missing=()
    for program in podman runc newuidmap busybox docker-registry htpasswd; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]})) || return 0
    [[ -z ${CONTAINER_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "missing: ${missing[*]}"
    say "installing podman"
    install_packages "${container_packages[@]}" </dev/null >>"$DIR/apt.log" 2>&1 ||
        die 69 "apt-get could not install podman; see $DIR/apt.log"
}
as_account() { # COMMAND...
    (cd / && exec setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --init-groups \
        env -i PATH=/usr/bin:/bin HOME="$DIR/home" USER="$ACCOUNT" "$@") </dev/null
}
make_account() {
    [[ ! -e $DIR/account ]] || return 0
    ACCOUNT=gbc$(cksum <<<"$DIR" | cut -d' ' -f1)
    useradd --create-home --home-dir "$DIR/home" --shell /usr/sbin/nologin "$ACCOUNT" >>"$DIR/log" 2>&1 ||
        die 1 "useradd failed; see $DIR/log"
    echo "$ACCOUNT" >"$DIR/account"
    mkdir -p "$DIR/home/.config/containers"
    # The limits and the runtime: what podman chooses itself needs CAP_SYS_RESOURCE, and one hierarchy of cgroups.
    cat >"$DIR/home/.config/containers/containers.conf" <<'C'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
C
    printf '[storage]\ndriver = "vfs"\n' >"$DIR/home/.config/containers/storage.conf"
    chown -R "$ACCOUNT:" "$DIR/home"
}
# What podman needs of the kernel, without podman: an error of podman's own is a failure.
need_namespaces() {
    as_account unshare --user --map-auto --map-root-user --pid --fork --mount-proc true 2>>"$DIR/log" ||
        die 75 "no account may make user namespaces here: $(tail -n 1 "$DIR/log")"
}
make_images() {
    local root=$DIR/root name program
    mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,var/tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for program in $("$root/bin/busybox" --list); do
        [[ $program = busybox ]] || ln -sf busybox "$root/bin/$program"
    done
    echo small >"$root/in-image"
    tar -C "$root" -cf "$DIR/root.tar" . && chmod 644 "$DIR/root.tar" || die 1 "no image can be made in $DIR"
    for name in small entry; do
        [[ $name = small ]] && set -- || set -- --change 'ENTRYPOINT ["/bin/false"]'
        as_account podman import --quiet "$@" "$DIR/root.tar" "localhost/gridbridge/$name" >>"$DIR/log" 2>&1 ||
            die 1 "podman import failed: $(tail -n 1 "$DIR/log")"
    done
    as_account podman run --rm --network=host --entrypoint= localhost/gridbridge/small true >>"$DIR/log" 2>&1 ||
        die 1 "podman cannot run here: $(tail -n 1 "$DIR/log")"
}
offer_apptainer() {
    local program
    rm -f "$DIR/apptainer"
    [[ ${CONTAINER_ENGINE_APPTAINER:-} = 1 ]] && program=$("$(dirname "$(realpath "$0")")/apptainer.sh" path 2>>"$DIR/log") || return 0
    if [[ ! -e /usr/local/bin/apptainer ]]; then
        ln -sfn "$program" /usr/local/bin/apptainer && : >"$DIR/linked" || die 1 "cannot write in /usr/local/bin"
    fi
    as_account /usr/local/bin/apptainer exec --containall "$DIR/root" true >>"$DIR/log" 2>&1 && : >"$DIR/apptainer" ||
        say "apptainer cannot run here: $(tail -n 1 "$DIR/log")"
}
start_registry() { # as the account, so that it ends with what else the account runs
    local config=$DIR/home/registry n place
    mkdir -p "$config"
    htpasswd -niB bot <<<pass-word-of-bot >"$config/htpasswd" 2>>"$DIR/log"
    cat >"$config/config.yml" <<C
version: 0.1
storage: {filesystem: {rootdirectory: $config/files}}
http: {addr: "127.0.0.1:0"}
auth: {htpasswd: {realm: test, path: $config/htpasswd}}
C
    chown -R "$ACCOUNT:" "$config"
    as_account setsid docker-registry serve "$config/config.yml" >"$DIR/registry.log" 2>&1 &
    for ((n = 0; n < 200; n++)); do
        place=$(grep -om1 'listening on 127.0.0.1:[0-9]*' "$DIR/registry.log") && break
        sleep 0.1
    done
    place=${place##* }
    [[ -n $place ]] || die 1 "the registry did not start; see $DIR/registry.log"
    echo "$place" >"$DIR/registry"
    printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$place" >"$DIR/home/.config/containers/registries.conf"
    as_account podman push --quiet --creds bot:pass-word-of-bot localhost/gridbridge/small "$place/private/small" \
        >>"$DIR/log" 2>&1 || die 1 "podman push failed: $(tail -n 1 "$DIR/log")"
}
down() {
    local uid n
    [[ ! -e $DIR/linked ]] || rm -f /usr/local/bin/apptainer "$DIR/linked"
    uid=$(id -u "$ACCOUNT" 2>/dev/null) || { rm -f "$DIR/account"; return 0; }
    as_account podman rm --all --force --time=0 >>"$DIR/log" 2>&1
    for ((n = 0; n < 100; n++)); do # podman leaves a process that holds its user namespace
        ps -o pid= -U "$uid" | xargs -r kill -KILL 2>/dev/null
        ps -o stat= -U "$uid" | grep -qv '^Z' || break
        sleep 0.05
    done
    userdel "$ACCOUNT" >>"$DIR/log" 2>&1 || die 1 "userdel failed; see $DIR/log"
    rm -f "/dev/shm/libpod_rootless_lock_$uid"
    rm -rf "$DIR/home" "$DIR/root" "$DIR/registry" "/tmp/podman-run-$uid" "/tmp/containers-user-$uid" "/tmp/storage-run-$uid"
    rm -f "$DIR/account"
}

(($# == 2)) || usage 2
DIR=$(realpath -m "$2")
[[ $(id -u) = 0 ]] || die 69 "needs root"
ACCOUNT=$(cat "$DIR/account" 2>/dev/null)
case $1 in
    up)
        mkdir -p "$DIR" && chmod 711 "$DIR" || die 1 "cannot write in $DIR"
        need
        make_account
        need_namespaces
        make_images
        offer_apptainer
        start_registry
        ;;
    down) [[ -z $ACCOUNT ]] || down ;;
    status)
        [[ -n $ACCOUNT ]] || exit 3
        as_account podman images && as_account podman ps --all
        ;;
    *) usage 2 ;;
esac
