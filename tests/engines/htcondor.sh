#!/bin/bash
# htcondor.sh: a private HTCondor pool in one folder, for tests on one Debian 12 machine.
#
#   htcondor.sh install       unpack HTCondor where it is not yet, and nothing else
#   htcondor.sh up DIR        start the pool if it does not run, wait for schedd and slots, write DIR/env.sh
#   htcondor.sh down DIR      remove every job, stop every daemon, end what jobs left behind
#   htcondor.sh status DIR    one line per daemon (name, pid) and slot
#
# Clients:  . DIR/env.sh && condor_submit …          Jobs run on this machine's own system, not in a chroot.
# As root: daemons run as account `condor` (made when missing), any ordinary user submits, root cannot.
# As an ordinary user: a personal pool, only that user submits. No systemd, loopback only.
# HTCondor is not in Debian 12: its packages and libraries come from the next Debian release, from the mirror that apt is
# configured with, through package lists of their own, and are only unpacked (90 MB). The system's packages, package
# sources and lists stay as they are.
# `up` repairs: when the master is dead it ends what is left of the pool and starts again, the queue is kept; a dead schedd,
# startd or other daemon is restarted by the master itself within about 2 s.
# Faults for tests: kill -9 a pid that `status` prints.
#
# Settings:
#   HTCONDOR_ENGINE_ROOT=            where HTCondor is unpacked, shared by all pools; empty = a cache folder of the account
#   HTCONDOR_ENGINE_SUITE=trixie     or sid
#   HTCONDOR_ENGINE_INSTALLED_ONLY=  not empty: nothing is unpacked, exit code 69 says that it is missing
# Read by the first `up` of a folder and remembered in DIR/etc/engine.conf, as is the root:
#   HTCONDOR_ENGINE_PORT=            the pool's only TCP port; empty = choose a free one
# Read by every `up` that starts the pool:
#   HTCONDOR_ENGINE_EXTRA=           lines appended to condor_config, later ones win
#
# Exit codes: 0 well (status: all up), 1 it failed (status: partly up), 2 usage, 3 status: nothing runs, 69 packages not available.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'htcondor.sh: %s\n' "$*" >&2; }
die() { local code=$1; shift; say "$*"; exit "$code"; }
usage() { sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit "$1"; }
lock() {
    exec 9>"$DIR/etc/lock" || die 1 "cannot write in $DIR"
    flock -w 300 9 || die 1 "another htcondor.sh works on $DIR"
}

# --- processes -------------------------------------------------------------------------------------------------------

# Daemons carry HTCONDOR_ENGINE_OWNER=DIR in their environment and hand it to shadows and starters; jobs carry _CONDOR_JOB_AD=DIR/execute/….
alive() { # a pid that runs; a zombie does not
    local line
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    [[ ${line##*) } != [ZX]* ]]
}
owned() { grep -slzxF -- "HTCONDOR_ENGINE_OWNER=$DIR" /proc/[0-9]*/environ | cut -d/ -f3; }
master_pid() {
    local pid
    pid=$(cat "$DIR/run/master.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] && alive "$pid" &&
        grep -qszxF -- "HTCONDOR_ENGINE_OWNER=$DIR" "/proc/$pid/environ" && echo "$pid"
}
leftovers() { # every process of this pool
    local pid known parent grown=1
    known=" $({ owned; grep -slz -- "^_CONDOR_JOB_AD=$DIR/execute/" /proc/[0-9]*/environ | cut -d/ -f3; } | xargs) "
    while ((grown)); do # and their children, whatever environment those have
        grown=0
        while read -r pid parent; do
            [[ $known == *" $parent "* && $known != *" $pid "* ]] && known+="$pid " && grown=1
        done < <(ps -e -o pid=,ppid=)
    done
    for pid in $known; do alive "$pid" && echo "$pid"; done
}
sweep() {
    local i pids
    for ((i = 0; i < 60; i++)); do
        mapfile -t pids < <(leftovers)
        ((${#pids[@]})) || return 0
        kill -KILL "${pids[@]}" 2>/dev/null
        sleep 0.1
    done
    die 1 "still running: ${pids[*]}"
}

# --- packages --------------------------------------------------------------------------------------------------------

# shellcheck source=debian.sh
. "$(dirname "$(realpath "$0")")/debian.sh"

install() {
    umask 022
    settings
    mkdir -p "${ROOT%/*}" || die 1 "cannot create ${ROOT%/*}"
    unpack
}
unpack() { # HTCondor and its libraries into $ROOT, made to use only that folder's loader and libraries
    local tmp=$ROOT.new suite=${HTCONDOR_ENGINE_SUITE:-trixie} lib loader file
    exec 8>"$ROOT.lock" || die 1 "cannot write $ROOT.lock"
    flock -w 600 8 || die 1 "another htcondor.sh unpacks HTCondor"
    "$ROOT/usr/bin/condor_version" >/dev/null 2>&1 && { exec 8>&-; return; }
    [[ -z ${HTCONDOR_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "it is not in $ROOT; run $0 install"
    say "unpacking HTCondor from $suite"
    rm -rf "$tmp"
    suite_lists "$tmp" "$suite"
    apt-get -qq -c "$tmp/apt/apt.conf" install -y --no-install-recommends --print-uris condor patchelf >"$tmp/apt/plan" ||
        die 69 "$suite has no HTCondor"
    # what only the package tools, the python and perl extras and the web pages need is left out
    awk '{print $2}' "$tmp/apt/plan" | sed 's/_.*//' | grep -Ev '^(perl|python|fonts-|libjs-|dpkg|passwd|adduser|tzdata|login|debconf|media-types|base-|gcc-)' |
        grep -Ev '^(lib(perl|python|date-manip|pcre2-(16|32)|boost-python).*|tar|net-tools|openssl|ca-certificates|pcre2-utils|coreutils)$' >"$tmp/apt/packages"
    # shellcheck disable=SC2046 # one word per package
    unpack_packages "$tmp" $(cat "$tmp/apt/packages")
    lib=$ROOT/usr/lib/x86_64-linux-gnu loader=$ROOT/usr/lib64/ld-linux-x86-64.so.2
    for file in "$tmp"/usr/bin/condor_* "$tmp"/usr/bin/classad_* "$tmp"/usr/sbin/* "$tmp"/usr/libexec/condor/*; do
        [[ -f $file && ! -L $file && $(head -c 4 "$file" | tail -c 3) == ELF && $file != *.so ]] || continue
        relocate "$tmp" "$ROOT" "$lib:$ROOT/usr/lib/condor:$ROOT/usr/lib" "$file" 2>/dev/null
    done
    rm -rf "$ROOT"
    mv "$tmp" "$ROOT" || die 1 "cannot write $ROOT"
    for file in "$ROOT"/usr/bin/condor_version "$ROOT"/usr/sbin/condor_{master,collector,negotiator,schedd,startd,shadow,starter,procd}; do
        "$loader" --list "$file" >/dev/null || die 1 "the unpacked HTCondor lacks libraries"
    done
    "$ROOT/usr/bin/condor_version" >/dev/null || die 1 "the unpacked HTCondor does not start"
    exec 8>&-
}

# --- configuration ---------------------------------------------------------------------------------------------------

free_port() {
    local port busy p
    busy=" $(awk '$4 == "0A" {sub(/.*:/, "", $2); print $2}' /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r p; do echo $((16#$p)); done | xargs) "
    port=$((10000 + $(cksum <<<"$DIR" | cut -d' ' -f1) % 9000))
    while [[ $busy == *" $port "* ]]; do port=$((port + 1)); done
    echo "$port"
}
settings() { # the folder's settings: remembered, else from the environment
    PORT=${HTCONDOR_ENGINE_PORT:-} ROOT=$(realpath -m -- "${HTCONDOR_ENGINE_ROOT:-$(cache)/htcondor-${HTCONDOR_ENGINE_SUITE:-trixie}}")
    # shellcheck source=/dev/null
    if [[ -n $DIR && -f $DIR/etc/engine.conf ]]; then . "$DIR/etc/engine.conf"; fi
    [[ -z $PORT || $PORT =~ ^[1-9][0-9]{3,4}$ ]] || die 2 "HTCONDOR_ENGINE_PORT must be a port number"
    [[ $ROOT =~ ^/[A-Za-z0-9_./+-]+$ ]] || die 2 "HTCONDOR_ENGINE_ROOT may hold only letters, digits and _ . / + -"
}
write_config() {
    local admin folder tool
    PORT=${PORT:-$(free_port)}
    printf 'PORT=%s ROOT=%s\n' "$PORT" "$ROOT" >"$DIR/etc/engine.conf"
    if [[ $(id -u) = 0 ]]; then
        id condor >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin condor ||
            die 1 "cannot make the account condor"
        admin="condor@\$(UID_DOMAIN), root@\$(UID_DOMAIN)"
        for folder in log spool execute lock run; do chown condor: "$DIR/$folder" || exit 1; done
    else
        admin="$(id -un)@\$(UID_DOMAIN)"
    fi
    cat >"$DIR/etc/condor_config" <<C
RELEASE_DIR = $ROOT/usr
LIB = \$(RELEASE_DIR)/lib/condor
LIBEXEC = \$(RELEASE_DIR)/libexec/condor
LOCAL_DIR = $DIR
LOG = $DIR/log
SPOOL = $DIR/spool
EXECUTE = $DIR/execute
LOCK = $DIR/lock
RUN = $DIR/run
ETC = $DIR/etc
LOCAL_CONFIG_DIR =
use ROLE: CentralManager
use ROLE: Submit
use ROLE: Execute
use security:recommended_v9_0
$([[ $(id -u) != 0 ]] || echo "CONDOR_IDS = $(id -u condor).$(id -g condor)")
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:$PORT
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
ENABLE_IPV6 = False
ENABLE_KERNEL_TUNING = False
BASE_CGROUP =
UID_DOMAIN = ci.local
FILESYSTEM_DOMAIN = ci.local
SCHEDD_NAME = engine@ci.local
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS
FS_LOCAL_DIR = $DIR/fs
SEC_PASSWORD_DIRECTORY = $DIR/etc/passwords.d
SEC_TOKEN_SYSTEM_DIRECTORY = $DIR/etc/tokens.d
SEC_TOKEN_POOL_SIGNING_KEY_FILE = $DIR/etc/passwords.d/POOL
ALLOW_DAEMON = $admin
ALLOW_NEGOTIATOR = $admin
ALLOW_ADMINISTRATOR = $admin
ALLOW_WRITE = *
ALLOW_READ = *
MOUNT_UNDER_SCRATCH =
MAIL = /bin/true
JAVA =
NUM_CPUS = 16
MEMORY = 8192
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
PERIODIC_EXPR_INTERVAL = 5
UPDATE_INTERVAL = 5
STARTER_UPDATE_INTERVAL = 5
SHADOW_QUEUE_UPDATE_INTERVAL = 5
MachineMaxVacateTime = 10
MASTER_BACKOFF_CONSTANT = 1
MASTER_BACKOFF_FACTOR = 1
RUNBENCHMARKS = 0
${HTCONDOR_ENGINE_EXTRA:-}
C
    for tool in "$ROOT"/usr/bin/condor_* "$ROOT"/usr/sbin/condor_{on,off,reconfig,restart,set_shutdown,store_cred}; do
        [[ $(head -c 4 "$tool" | tail -c 3) != ELF ]] || ln -sfn "$tool" "$DIR/bin/${tool##*/}"
    done
}
write_env() {
    cat >"$DIR/env.sh.new" <<C && mv "$DIR/env.sh.new" "$DIR/env.sh"
export CONDOR_CONFIG='$CONDOR_CONFIG'
case ":\$PATH:" in *:'$DIR/bin':*) ;; *) export PATH='$DIR/bin':"\$PATH" ;; esac
C
}

# --- up, down, status ------------------------------------------------------------------------------------------------

client() { # a tool of this pool, bounded
    local seconds=$1 tool=$2
    shift 2
    env -i PATH="$PATH" HOME="${HOME:-/}" CONDOR_CONFIG="$CONDOR_CONFIG" timeout -k 2 "$seconds" "$DIR/bin/$tool" "$@" 2>/dev/null </dev/null 9>&-
}
ready() { [[ -n $(client 10 condor_status -schedd -af Name) && -n $(client 10 condor_status -af Name) ]]; }
up() {
    local i
    umask 022
    mkdir -p "$DIR"/{etc,log,spool,execute,lock,run,bin,fs} 2>/dev/null || die 1 "cannot create $DIR"
    lock
    settings
    chmod 1777 "$DIR/fs" 2>/dev/null
    if ! master_pid >/dev/null; then
        install
        sweep
        write_config
        (umask 077; mkdir -p "$DIR/etc/passwords.d" "$DIR/etc/tokens.d")
        rm -f "$DIR/run/master.pid" "$DIR/lock/shared_port_ad" "$DIR/log/.schedd_address" "$DIR/spool/.schedd_address"
        env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="${HOME:-/}" LANG=C.UTF-8 CONDOR_CONFIG="$CONDOR_CONFIG" HTCONDOR_ENGINE_OWNER="$DIR" \
            setsid -f "$ROOT/usr/sbin/condor_master" -f -pidfile "$DIR/run/master.pid" </dev/null >"$DIR/log/master.out" 2>&1 9>&-
    fi
    write_env
    for ((i = 0; i < 150; i++)); do
        master_pid >/dev/null && ready && { cat "$DIR/env.sh"; return; }
        sleep 0.2
    done
    status >&2
    die 1 "the pool is not ready; see $DIR/log/MasterLog and master.out"
}
down() {
    local pid i
    [[ -d $DIR/etc ]] || return 0
    lock
    settings
    if pid=$(master_pid); then
        kill -CONT "$pid" 2>/dev/null
        client 10 condor_rm -all >/dev/null && for ((i = 0; i < 25; i++)); do
            [[ -z $(client 5 condor_q -allusers -af ClusterId) ]] && break
            sleep 0.2
        done
        kill -QUIT "$pid" 2>/dev/null # fast shutdown
        for ((i = 0; i < 100; i++)); do alive "$pid" || break; sleep 0.1; done
    fi
    sweep
    rm -f "$DIR/run/master.pid"
}
status() {
    local pid name up=0 gone=0 found=' '
    [[ -f $DIR/etc/engine.conf ]] || { echo "nothing was started in $DIR"; return 3; }
    settings
    for pid in $(owned); do
        alive "$pid" || continue
        IFS= read -r -d '' name 2>/dev/null <"/proc/$pid/cmdline" || continue
        name=${name##*/}
        printf '%-20s up   pid %s\n' "$name" "$pid"; found+="$name "; up=$((up + 1))
    done
    for name in master shared_port collector negotiator schedd startd; do
        [[ $found == *" condor_$name "* ]] || { printf '%-20s down\n' "condor_$name"; gone=$((gone + 1)); }
    done
    ((up > 0)) || return 3
    client 10 condor_status -af:h Name State Activity
    ((gone == 0)) && ready
}

case ${1:-} in
    -h | --help | help) usage 0 ;;
    install) [[ $# = 1 ]] || usage 2 >&2 ;;
    up | down | status) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
DIR=
if [[ $1 = install ]]; then install; exit; fi
DIR=$(realpath -m -- "$2")
[[ $DIR =~ ^/[A-Za-z0-9_./+-]+$ ]] || die 2 "DIR may hold only letters, digits and _ . / + -"
export CONDOR_CONFIG=$DIR/etc/condor_config
"$1"
