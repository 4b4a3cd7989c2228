#!/bin/bash
# slurm.sh: a private Slurm cluster in one folder, for tests on one Debian 12 machine.
#
#   slurm.sh up DIR       start what is not running, wait until every node accepts jobs, write DIR/env.sh
#   slurm.sh down DIR     cancel every job, stop every daemon, end what jobs left behind
#   slurm.sh status DIR   one line per daemon and node
#
# Clients:  . DIR/env.sh && sbatch …
# Works as root (any user may submit) and as an ordinary user (only that user may submit). No systemd, loopback only.
# `up` repairs: after `kill -9` of any daemon, or of all, it starts the missing ones and keeps jobs and job ids.
# Faults for tests: kill -9 "$(cat DIR/run/slurmctld.pid)", then `up`. Pid files: slurmctld, slurmd-n1 …, munged, slurmdbd, mariadbd.
#
# Settings, read by the first `up` of a folder and remembered in DIR/etc/engine.conf:
#   SLURM_ENGINE_NODES=2          virtual nodes n1 …
#   SLURM_ENGINE_CPUS=4           of each node, with 1000 MB for each
#   SLURM_ENGINE_AUTH=none        or munge (a munged of its own)
#   SLURM_ENGINE_ACCOUNTING=0     or 1: MariaDB and slurmdbd of its own, account `lab`, so that sacct works
#   SLURM_ENGINE_PORT=            first of 40 ports; empty = choose free ones
# Read by every `up`:
#   SLURM_ENGINE_INSTALLED_ONLY=   not empty: nothing is installed, exit code 69 says that something is missing
# Read by every `up` that starts slurmctld:
#   SLURM_ENGINE_EXTRA=           lines for slurm.conf, for example $'MinJobAge=5\nKillWait=1'; they replace the script's own lines of the same
#                              key (PartitionName lines are added)
#
# Exit codes: 0 well (status: all up), 1 it failed (status: partly up), 2 usage, 3 status: nothing runs, 69 packages missing.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'slurm.sh: %s\n' "$*" >&2; }
die() { local code=$1; shift; say "$*"; exit "$code"; }
lock() {
    exec 9>"$DIR/etc/lock" || die 1 "cannot write in $DIR"
    flock -w 120 9 || die 1 "another slurm.sh works on $DIR"
}
usage() { sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit "$1"; }

# --- processes -------------------------------------------------------------------------------------------------------

# Daemons carry SLURM_ENGINE_OWNER=DIR in their environment and hand it to slurmstepd; job processes carry SLURM_CONF and SLURM_JOB_ID.
alive() { # a pid that runs; a zombie does not
    local line
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    [[ ${line##*) } != [ZX]* ]]
}
daemon_pid() { # NAME: the pid in DIR/run/NAME.pid if it is still our daemon
    local pid
    pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] && alive "$pid" &&
        grep -qszxF -- "SLURM_ENGINE_OWNER=$DIR" "/proc/$pid/environ" && echo "$pid"
}
leftovers() { # every process of this lab
    local pid known parent grown=1
    known=" $(
        {
            grep -slzxF -- "SLURM_ENGINE_OWNER=$DIR" /proc/[0-9]*/environ
            grep -slzxF -- "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ | xargs -r grep -slz '^SLURM_JOB_ID='
        } | cut -d/ -f3 | xargs
    ) "
    while ((grown)); do # and their children, whatever environment those have
        grown=0
        while read -r pid parent; do
            [[ $known == *" $parent "* && $known != *" $pid "* ]] && known+="$pid " && grown=1
        done < <(ps -e -o pid=,ppid=)
    done
    for pid in $known; do alive "$pid" && echo "$pid"; done
}
stop_daemon() { # NAME SECONDS
    local pid i
    pid=$(daemon_pid "$1") || { rm -f "$DIR/run/$1.pid"; return; }
    kill -CONT "$pid" 2>/dev/null
    kill -TERM "$pid" 2>/dev/null
    for ((i = 0; i < $2 * 20; i++)); do alive "$pid" || break; sleep 0.05; done
    alive "$pid" && kill -KILL "$pid" 2>/dev/null
    rm -f "$DIR/run/$1.pid"
}
start() { # runs a daemon's starter with the lab's mark and without our lock
    env -i PATH="$PATH" HOME="${HOME:-/}" LANG=C.UTF-8 SLURM_CONF="$SLURM_CONF" SLURM_ENGINE_OWNER="$DIR" "$@" </dev/null 9>&-
}

# --- packages --------------------------------------------------------------------------------------------------------

# shellcheck source=../../deploy/packages.sh
. "$(dirname "$(realpath "$0")")/../../deploy/packages.sh"

need() { # COMMANDS -- PACKAGES
    local missing='' mask=/usr/sbin/policy-rc.d made='' rc
    while [[ $1 != -- ]]; do command -v "$1" >/dev/null || missing+=" $1"; shift; done
    shift
    [[ -z $missing ]] && return
    [[ -z ${SLURM_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "commands missing:$missing"
    [[ $(id -u) = 0 ]] || die 69 "commands missing:$missing; as root: apt-get install --no-install-recommends $*"
    if [[ ! -e $mask ]]; then printf '#!/bin/sh\nexit 101\n' >"$mask" && chmod 755 "$mask" && made=1; fi # no service may start
    install_packages "$@" </dev/null 9>&- >>"$DIR/log/apt.log" 2>&1
    rc=$?
    [[ -z $made ]] || rm -f "$mask"
    ((rc == 0)) || die 69 "apt-get could not install $*; see $DIR/log/apt.log"
}

# --- configuration ---------------------------------------------------------------------------------------------------

free_ports() { # first of 40 ports on which nothing listens
    local first p busy
    busy=" $(awk '$4 == "0A" {sub(/.*:/, "", $2); print $2}' /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r p; do echo $((16#$p)); done | xargs) "
    first=$((20000 + ($(cksum <<<"$DIR" | cut -d' ' -f1) % 250) * 40))
    for ((; ; first = first >= 30000 ? 20000 : first + 40)); do
        for ((p = first; p < first + 40; p++)); do [[ $busy == *" $p "* ]] && continue 2; done
        echo "$first"
        return
    done
}
settings() { # the folder's settings: remembered, else from the environment
    NODES=${SLURM_ENGINE_NODES:-2} CPUS=${SLURM_ENGINE_CPUS:-4} AUTH=${SLURM_ENGINE_AUTH:-none} ACCOUNTING=${SLURM_ENGINE_ACCOUNTING:-0} PORT=${SLURM_ENGINE_PORT:-}
    # shellcheck source=/dev/null
    if [[ -f $DIR/etc/engine.conf ]]; then . "$DIR/etc/engine.conf"; fi
    [[ $NODES =~ ^([1-9]|1[0-9]|2[0-4])$ ]] || die 2 "SLURM_ENGINE_NODES must be 1 to 24"
    [[ $CPUS =~ ^[1-9][0-9]?$ ]] || die 2 "SLURM_ENGINE_CPUS must be 1 to 99"
    [[ $AUTH = none || $AUTH = munge ]] || die 2 "SLURM_ENGINE_AUTH must be none or munge"
    [[ $ACCOUNTING = [01] ]] || die 2 "SLURM_ENGINE_ACCOUNTING must be 0 or 1"
    [[ -z $PORT || $PORT =~ ^[1-9][0-9]{3,4}$ ]] || die 2 "SLURM_ENGINE_PORT must be a port number"
}
write_config() {
    local host user auth pass='' db='' keys
    host=$(hostname -s) user=$(id -un)
    PORT=${PORT:-$(free_ports)}
    printf 'NODES=%s CPUS=%s AUTH=%s ACCOUNTING=%s PORT=%s\n' "$NODES" "$CPUS" "$AUTH" "$ACCOUNTING" "$PORT" >"$DIR/etc/engine.conf"
    auth=$'AuthType=auth/none\nCredType=cred/none\nAuthInfo=cred_expire=5'
    if [[ $AUTH = munge ]]; then
        auth=$'AuthType=auth/munge\nCredType=cred/munge\nAuthInfo=socket='"$DIR/run/munge.socket,cred_expire=5"
        pass="AccountingStoragePass=$DIR/run/munge.socket"
    fi
    db='AccountingStorageType=accounting_storage/none'
    if [[ $ACCOUNTING = 1 ]]; then
        db="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 2))
AccountingStoreFlags=job_comment${pass:+
$pass}"
        (umask 077; cat >"$DIR/etc/slurmdbd.conf") <<C
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT + 2))
SlurmUser=$user
$(grep -E '^Auth(Type|Info=socket)' <<<"$auth" | sed 's/,cred_expire.*//')
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 1))
StorageUser=slurm
StoragePass=lab
StorageLoc=slurm_acct_db
LogFile=$DIR/log/slurmdbd.log
PidFile=$DIR/run/slurmdbd.pid
C
    fi
    cat >"$SLURM_CONF.own" <<C
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$user
SlurmdUser=$user
$auth
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
JobAcctGatherParams=OverMemoryKill
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
MinJobAge=60
MaxJobCount=10000
KillWait=3
MessageTimeout=10
SlurmdTimeout=30
SlurmctldTimeout=30
JobCompType=jobcomp/filetxt
JobCompLoc=$DIR/log/jobcomp.txt
$db
SlurmdParameters=config_overrides
NodeName=n[1-$NODES] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((PORT + 11))-$((PORT + 10 + NODES))] CPUs=$CPUS RealMemory=$((CPUS * 1000)) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=01:00:00 DefMemPerCPU=100 State=UP
PartitionName=short Nodes=ALL MaxTime=00:01:00 DefMemPerCPU=100 State=UP
C
    keys=$(sed -n 's/^\([A-Za-z]*\)=.*/\1/p' <<<"${SLURM_ENGINE_EXTRA:-}" | grep -vix PartitionName | paste -sd'|')
    { grep -viE "^(${keys:-none})=" "$SLURM_CONF.own"; printf '%s\n' "${SLURM_ENGINE_EXTRA:-}"; } >"$SLURM_CONF"
}
write_env() {
    cat >"$DIR/env.sh.new" <<C && mv "$DIR/env.sh.new" "$DIR/env.sh"
export SLURM_CONF='$SLURM_CONF'
case ":\$PATH:" in *:/usr/bin:*) ;; *) export PATH="\$PATH:/usr/bin" ;; esac
C
}

# --- up --------------------------------------------------------------------------------------------------------------

start_munged() {
    daemon_pid munged >/dev/null && return
    [[ -f $DIR/munge/munge.key ]] || (umask 077; head -c 128 /dev/urandom >"$DIR/munge/munge.key")
    start munged --force --key-file="$DIR/munge/munge.key" --socket="$DIR/run/munge.socket" --pid-file="$DIR/run/munged.pid" \
        --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge/munged.seed" || die 1 "munged did not start; see $DIR/log/munged.log"
}
start_mariadb() {
    local i
    daemon_pid mariadbd >/dev/null && return
    if [[ ! -d $DIR/db/mysql ]]; then
        start mariadb-install-db --no-defaults --datadir="$DIR/db" --auth-root-authentication-method=normal --user="$(id -un)" \
            --skip-test-db >"$DIR/log/mariadb-install.log" 2>&1 || die 1 "mariadb-install-db failed; see $DIR/log/mariadb-install.log"
    fi
    printf '%s\n' "CREATE DATABASE IF NOT EXISTS slurm_acct_db;" "CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'lab';" \
        "GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1';" >"$DIR/etc/accounting.sql"
    rm -f "$DIR/run/mariadbd.pid"
    start setsid -f mariadbd --no-defaults --user="$(id -un)" --datadir="$DIR/db" --socket="$DIR/run/mariadb.socket" --pid-file="$DIR/run/mariadbd.pid" \
        --bind-address=127.0.0.1 --port=$((PORT + 1)) --skip-name-resolve --innodb-buffer-pool-size=64M --innodb-log-file-size=16M \
        --innodb-lock-wait-timeout=900 --init-file="$DIR/etc/accounting.sql" >"$DIR/log/mariadbd.log" 2>&1
    for ((i = 0; i < 300; i++)); do
        daemon_pid mariadbd >/dev/null && listens $((PORT + 1)) && return
        sleep 0.1
    done
    die 1 "MariaDB did not start; see $DIR/log/mariadbd.log"
}
listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
start_slurmdbd() {
    local i
    daemon_pid slurmdbd >/dev/null && return
    start slurmdbd || die 1 "slurmdbd did not start; see $DIR/log/slurmdbd.log"
    for ((i = 0; i < 100; i++)); do
        daemon_pid slurmdbd >/dev/null && listens $((PORT + 2)) && break
        sleep 0.1
    done
    has_association && return
    for i in "cluster lab" "account lab Description=lab Organization=lab" "user $(id -un) account=lab"; do
        # shellcheck disable=SC2086 # words are meant to be split
        start timeout 30 sacctmgr -i add $i >>"$DIR/log/sacctmgr.log" 2>&1
    done
    has_association || die 1 "accounting is not usable; see $DIR/log/slurmdbd.log and sacctmgr.log"
}
has_association() {
    start timeout 30 sacctmgr -nP list association cluster=lab account=lab user="$(id -un)" format=user 2>/dev/null | grep -q .
}
ready_nodes() { timeout 5 sinfo -h -N -p main -o '%t' 2>/dev/null | grep -cxE 'idle|mix|alloc|comp'; }
resume_nodes() { # a node that lost a job together with its controller is taken out of service
    timeout 5 sinfo -h -N -p main -o '%N %t %E' 2>/dev/null | while read -r name state why; do
        [[ $state != dr* && $state != down ]] || { say "node $name was $state: $why"; timeout 5 scontrol update nodename="$name" state=resume; }
    done
}
up() {
    local i
    umask 022
    mkdir -p "$DIR"/{etc,run,log,spool,state,munge} 2>/dev/null || die 1 "cannot create $DIR"
    lock
    settings
    need slurmctld slurmd sbatch sinfo munged -- "${slurm_packages[@]}"
    if [[ $ACCOUNTING = 1 ]]; then
        need slurmdbd mariadbd mariadb-install-db my_print_defaults -- "${slurm_accounting_packages[@]}"
        mkdir -p "$DIR/db"
    fi
    daemon_pid slurmctld >/dev/null || write_config
    write_env
    [[ $AUTH = none ]] || start_munged
    if [[ $ACCOUNTING = 1 ]]; then start_mariadb; start_slurmdbd; fi
    daemon_pid slurmctld >/dev/null || start slurmctld || die 1 "slurmctld did not start; see $DIR/log/slurmctld.log"
    for ((i = 1; i <= NODES; i++)); do
        daemon_pid "slurmd-n$i" >/dev/null || start slurmd -N "n$i" || die 1 "slurmd n$i did not start; see $DIR/log/slurmd-n$i.log"
    done
    for ((i = 0; i < 300; i++)); do
        [[ $(ready_nodes) = "$NODES" ]] && { cat "$DIR/env.sh"; return; }
        ((i % 10 != 9)) || resume_nodes
        sleep 0.1
    done
    status >&2
    die 1 "not every node is ready; see $DIR/log"
}

# --- down and status -------------------------------------------------------------------------------------------------

down() {
    local i pids
    [[ -d $DIR/etc ]] || return 0
    lock
    settings
    if daemon_pid slurmctld >/dev/null && timeout 3 scontrol ping >/dev/null 2>&1; then
        timeout 10 squeue -h -o %A 2>/dev/null | sort -u | xargs -r timeout 20 scancel 2>/dev/null
        for ((i = 0; i < 60; i++)); do [[ -z $(timeout 3 squeue -h -o %A 2>/dev/null) ]] && break; sleep 0.1; done
    fi
    stop_daemon slurmctld 10
    for ((i = 1; i <= NODES; i++)); do stop_daemon "slurmd-n$i" 5; done
    stop_daemon slurmdbd 10
    stop_daemon mariadbd 20
    stop_daemon munged 5
    for ((i = 0; i < 40; i++)); do # slurmstepd, jobs, daemons without a pid file
        mapfile -t pids < <(leftovers)
        ((${#pids[@]})) || return 0
        kill -KILL "${pids[@]}" 2>/dev/null
        sleep 0.1
    done
    die 1 "still running: ${pids[*]}"
}
status() {
    local name pid up=0 gone=0 names=(slurmctld) i
    [[ -f $DIR/etc/engine.conf ]] || { echo "nothing was started in $DIR"; return 3; }
    settings
    for ((i = 1; i <= NODES; i++)); do names+=("slurmd-n$i"); done
    [[ $AUTH = none ]] || names+=(munged)
    [[ $ACCOUNTING = 0 ]] || names+=(mariadbd slurmdbd)
    for name in "${names[@]}"; do
        if pid=$(daemon_pid "$name"); then
            printf '%-10s up   pid %s\n' "$name" "$pid"; up=$((up + 1))
        else
            printf '%-10s down\n' "$name"; gone=$((gone + 1))
        fi
    done
    ((up > 0)) || return 3
    timeout 5 sinfo -h -N -p main -o 'node %N %T' 2>/dev/null
    ((gone == 0)) && [[ $(ready_nodes) = "$NODES" ]]
}

case ${1:-} in
    -h | --help | help) usage 0 ;;
    up | down | status) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
DIR=$(realpath -m -- "$2")
[[ $DIR =~ ^/[A-Za-z0-9_./+-]+$ ]] || die 2 "DIR may hold only letters, digits and _ . / + -"
export SLURM_CONF=$DIR/etc/slurm.conf
"$1"
