#!/bin/bash
# sge.sh: a private Grid Engine (8.1.9) in one folder, for tests on one Debian 12 machine. Needs root.
#
#   sge.sh up DIR       start what is not running, wait until the queue ci.q takes jobs, write DIR/env.sh
#   sge.sh down DIR     delete every job, stop both daemons, end what jobs left behind
#   sge.sh status DIR   one line per daemon, then the queue
#
# Clients:  . DIR/env.sh && qsub …      as an ordinary user (uid >= 1000): Grid Engine refuses jobs of root.
# Own root folder, own ports, no systemd, no init scripts; the packages' own cell under /var is not used.
# `up` repairs: after `kill -9` of either daemon, or of both, it starts the missing ones and keeps jobs and job ids
# (an execd that outlived the master comes back only after 30 s; when both were killed 3 s).
# Faults for tests: kill -9 "$(cat DIR/run/qmaster.pid)" (or execd.pid), then `up`.
#
# Settings, read by the first `up` of a folder and remembered in DIR/etc/engine.conf:
#   SGE_ENGINE_SLOTS=4   slots of ci.q          SGE_ENGINE_PORT=   first of two ports; empty = choose free ones
# Read by every `up`:
#   SGE_ENGINE_INSTALLED_ONLY=   not empty: nothing is installed, exit code 69 says that something is missing
#
# Exit codes: 0 well (status: all up), 1 it failed (status: partly up), 2 usage, 3 status: nothing runs, 69 packages missing.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'sge.sh: %s\n' "$*" >&2; }
die() { local code=$1; shift; say "$*"; exit "$code"; }
usage() { sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit "$1"; }
lock() {
    exec 9>"$DIR/etc/lock" || die 1 "cannot write in $DIR"
    flock -w 120 9 || die 1 "another sge.sh works on $DIR"
}

# --- processes -------------------------------------------------------------------------------------------------------

# Daemons carry SGE_ENGINE_OWNER=DIR in their environment and hand it to shepherds; jobs carry SGE_ROOT=DIR/sge and JOB_ID.
alive() { # a pid that runs; a zombie does not
    local line
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    [[ ${line##*) } != [ZX]* ]]
}
daemon_pid() { # NAME: the pid in DIR/run/NAME.pid if it is still our daemon
    local pid
    pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] && alive "$pid" &&
        grep -qszxF -- "SGE_ENGINE_OWNER=$DIR" "/proc/$pid/environ" && echo "$pid"
}
leftovers() { # every process of this engine
    local pid known parent grown=1
    known=" $(
        {
            grep -slzxF -- "SGE_ENGINE_OWNER=$DIR" /proc/[0-9]*/environ
            grep -slzxF -- "SGE_ROOT=$SGE_ROOT" /proc/[0-9]*/environ | xargs -r grep -slz '^JOB_ID='
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
sge() { # a Grid Engine program with a clean environment; jobs inherit execd's
    env -i PATH="$PATH" LANG=C.UTF-8 SGE_ROOT="$SGE_ROOT" SGE_CELL=default SGE_QMASTER_PORT="$PORT" SGE_EXECD_PORT="$((PORT + 1))" \
        "$@" </dev/null 9>&-
}
daemon() { # NAME PROGRAM
    daemon_pid "$1" >/dev/null && return
    rm -f "$DIR/run/$1.pid"
    sge SGE_ENGINE_OWNER="$DIR" SGE_MASTER_PIDFILE="$DIR/run/qmaster.pid" SGE_EXECD_PIDFILE="$DIR/run/execd.pid" "$PROGRAMS/$2" \
        >"$DIR/log/$1.out" 2>&1 || die 1 "$2 did not start; see $DIR/log/$1.out"
}

# --- packages --------------------------------------------------------------------------------------------------------

# shellcheck source=../../deploy/packages.sh
. "$(dirname "$(realpath "$0")")/../../deploy/packages.sh"

need() {
    local mask=/usr/sbin/policy-rc.d made='' rc
    [[ -x $PROGRAMS/sge_qmaster && -x $PROGRAMS/sge_execd && -x $PROGRAMS/qsub ]] && return
    [[ -z ${SGE_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "Grid Engine's daemons and commands are missing"
    say "installing Grid Engine"
    debconf-set-selections 9>&- <<<'gridengine-common shared/gridengineconfig boolean false'
    if [[ ! -e $mask ]]; then printf '#!/bin/sh\nexit 101\n' >"$mask" && chmod 755 "$mask" && made=1; fi # no service may start
    install_packages "${sge_packages[@]}" </dev/null 9>&- >>"$DIR/log/apt.log" 2>&1
    rc=$?
    [[ -z $made ]] || rm -f "$mask"
    ((rc == 0)) || die 69 "apt-get could not install Grid Engine; see $DIR/log/apt.log"
}

# --- configuration ---------------------------------------------------------------------------------------------------

free_ports() { # first of two ports on which nothing listens
    local port busy p
    busy=" $(awk '$4 == "0A" {sub(/.*:/, "", $2); print $2}' /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r p; do echo $((16#$p)); done | xargs) "
    port=$((30000 + $(cksum <<<"$DIR" | cut -d' ' -f1) % 1300 * 2))
    while [[ $busy == *" $port "* || $busy == *" $((port + 1)) "* ]]; do port=$((port + 2)); done
    echo "$port"
}
settings() { # the folder's settings: remembered, else from the environment
    SLOTS=${SGE_ENGINE_SLOTS:-4} PORT=${SGE_ENGINE_PORT:-}
    # shellcheck source=/dev/null
    if [[ -f $DIR/etc/engine.conf ]]; then . "$DIR/etc/engine.conf"; fi
    [[ $SLOTS =~ ^[1-9][0-9]{0,2}$ ]] || die 2 "SGE_ENGINE_SLOTS must be 1 to 999"
    [[ -z $PORT || $PORT =~ ^[1-9][0-9]{3,4}$ ]] || die 2 "SGE_ENGINE_PORT must be a port number"
    PORT=${PORT:-$(free_ports)}
}
make_cell() { # root folder, cell and spool database
    local common=$SGE_ROOT/default/common link
    printf 'SLOTS=%s PORT=%s\n' "$SLOTS" "$PORT" >"$DIR/etc/engine.conf"
    [[ -e $DIR/etc/cell-made ]] && return
    rm -rf "$SGE_ROOT" "$DIR/spool"
    mkdir -p "$common" "$DIR"/spool/{qmaster/job_scripts,spooldb,execd} || die 1 "cannot write in $DIR"
    for link in bin lib utilbin util; do ln -s "/var/lib/gridengine/$link" "$SGE_ROOT/$link"; done
    cat >"$common/bootstrap" <<C
admin_user              sgeadmin
default_domain          none
ignore_fqdn             false
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         $DIR/spool/spooldb
binary_path             /usr/sbin
qmaster_spool_dir       $DIR/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
C
    echo "$HOST" >"$common/act_qmaster"
    # every other name of 127.0.0.1 becomes an alias of this host; must be there before the master starts
    echo "$HOST localhost $(awk -v h="$HOST" '$1 == "127.0.0.1" {for (i = 2; i <= NF; i++) if ($i != h && $i != "localhost") print $i}' /etc/hosts | xargs)" \
        >"$common/host_aliases"
    # supplementary groups mark the processes of a job: a range of its own for each engine of the machine
    sed -e "s#/var/spool/gridengine/execd#$DIR/spool/execd#" -e "s/^gid_range .*/gid_range $((PORT * 64))-$((PORT * 64 + 63))/" /usr/share/gridengine/default-configuration >"$DIR/etc/default-configuration"
    chown -R sgeadmin: "$DIR/spool" "$SGE_ROOT"
    # as the admin user, or the database would belong to root
    # shellcheck disable=SC2016 # expanded by the inner shell
    runuser -u sgeadmin -- env SGE_ROOT="$SGE_ROOT" SGE_CELL=default sh -ec '
        P=$1 D=$2
        $P/spoolinit berkeleydb libspoolb "$D/spool/spooldb" init
        $P/spooldefaults configuration "$D/etc/default-configuration"
        $P/spooldefaults complexes /usr/share/gridengine/util/resources/centry
        $P/spooldefaults usersets /usr/share/gridengine/util/resources/usersets
        $P/spooldefaults managers sgeadmin' sh "$PROGRAMS" "$DIR" >"$DIR/log/init.out" 2>&1 9>&- || die 1 "no spool database; see $DIR/log/init.out"
    touch "$DIR/etc/cell-made"
}
configure() { # host, parallel environment, queue, fast scheduler, honest failure shapes; in the running master
    local conf=$DIR/etc/conf
    sge "$PROGRAMS/qconf" -sq ci.q >/dev/null 2>&1 && return
    rm -rf "$conf" && mkdir -p "$conf" && cd "$conf" || exit 1
    {
        sge "$PROGRAMS/qconf" -as "$HOST"
        printf '%s\n' "hostname $HOST" 'load_scaling NONE' 'complex_values NONE' 'user_lists NONE' 'xuser_lists NONE' 'projects NONE' 'xprojects NONE' \
            'usage_scaling NONE' 'report_variables NONE' >host
        sge "$PROGRAMS/qconf" -Ae host
        # shellcheck disable=SC2016 # $pe_slots is Grid Engine's
        printf '%s\n' 'pe_name smp' 'slots 999' 'user_lists NONE' 'xuser_lists NONE' 'start_proc_args NONE' 'stop_proc_args NONE' \
            'allocation_rule $pe_slots' 'control_slaves FALSE' 'job_is_first_task TRUE' 'urgency_slots min' 'accounting_summary FALSE' 'qsort_args NONE' >smp
        sge "$PROGRAMS/qconf" -Ap smp
        sge "$PROGRAMS/qconf" -ssconf | sed -e 's/^schedule_interval .*/schedule_interval 0:0:1/' -e 's/^flush_submit_sec .*/flush_submit_sec 1/' \
            -e 's/^flush_finish_sec .*/flush_finish_sec 1/' -e 's/^job_load_adjustments .*/job_load_adjustments NONE/' \
            -e 's/^load_adjustment_decay_time .*/load_adjustment_decay_time 0:0:0/' >scheduler
        sge "$PROGRAMS/qconf" -Msconf scheduler
        sge "$PROGRAMS/qconf" -sconf | sed -e 1d -e 's/^load_report_time .*/load_report_time 00:00:05/' \
            -e 's/^qmaster_params .*/qmaster_params FORBID_RESCHEDULE=TRUE,FORBID_APPERROR=TRUE/' \
            -e 's/flush_time=00:00:15/flush_time=00:00:15 accounting_flush_time=00:00:00/' >global
        sge "$PROGRAMS/qconf" -Mconf global
        sge "$PROGRAMS/qconf" -sq | sed -e 's/^qname .*/qname ci.q/' -e "s/^hostlist .*/hostlist $HOST/" -e "s/^slots .*/slots $SLOTS/" \
            -e 's/^load_thresholds .*/load_thresholds NONE/' -e 's#^shell  .*#shell /bin/sh#' -e 's/^shell_start_mode .*/shell_start_mode unix_behavior/' \
            -e 's/^pe_list .*/pe_list smp/' >queue
        sge "$PROGRAMS/qconf" -Aq queue
    } >"$DIR/log/configure.out" 2>&1
    cd / || exit 1
    sge "$PROGRAMS/qconf" -sq ci.q >/dev/null 2>&1 || die 1 "no queue; see $DIR/log/configure.out"
}
write_env() {
    cat >"$DIR/env.sh.new" <<C && mv "$DIR/env.sh.new" "$DIR/env.sh"
export SGE_ROOT='$SGE_ROOT' SGE_CELL=default SGE_QMASTER_PORT=$PORT SGE_EXECD_PORT=$((PORT + 1))
case ":\$PATH:" in *:/usr/bin:*) ;; *) export PATH="\$PATH:/usr/bin" ;; esac
C
}

# --- up, down, status ------------------------------------------------------------------------------------------------

ready() {
    local line
    line=$(sge timeout 5 "$PROGRAMS/qstat" -f 2>/dev/null | grep "^ci\.q@.*lx-amd64") && [[ $line =~ lx-amd64\ *$ ]]
}
up() {
    local i
    [[ $(id -u) = 0 ]] || die 69 "Grid Engine's daemons start jobs for other users: run as root"
    umask 022
    mkdir -p "$DIR"/{etc,run,log} 2>/dev/null || die 1 "cannot create $DIR"
    lock
    need
    settings
    make_cell
    chown sgeadmin: "$DIR/run"
    write_env
    daemon qmaster sge_qmaster
    for ((i = 0; i < 100; i++)); do sge "$PROGRAMS/qconf" -sh >/dev/null 2>&1 && break; sleep 0.1; done
    cp -f "$DIR/spool/qmaster/qmaster.pid" "$DIR/run/qmaster.pid" 2>/dev/null
    configure
    daemon execd sge_execd
    for ((i = 0; i < 900; i++)); do # an execd that outlived its master reports again only after 30 s
        ready && { cat "$DIR/env.sh"; return; }
        sleep 0.1
    done
    status >&2
    die 1 "ci.q is not ready; see $DIR/spool/qmaster/messages"
}
down() {
    local i pids
    [[ -d $DIR/etc ]] || return 0
    [[ $(id -u) = 0 ]] || die 1 "run as root"
    lock
    settings
    if daemon_pid qmaster >/dev/null && sge timeout 5 "$PROGRAMS/qconf" -sh >/dev/null 2>&1; then
        sge timeout 10 "$PROGRAMS/qdel" -u '*' >/dev/null 2>&1
        for ((i = 0; i < 50; i++)); do [[ -z $(sge timeout 5 "$PROGRAMS/qstat" -u '*' 2>/dev/null) ]] && break; sleep 0.1; done
    fi
    stop_daemon execd 10
    stop_daemon qmaster 20
    for ((i = 0; i < 60; i++)); do
        mapfile -t pids < <(leftovers)
        ((${#pids[@]})) || return 0
        kill -KILL "${pids[@]}" 2>/dev/null
        sleep 0.1
    done
    die 1 "still running: ${pids[*]}"
}
status() {
    local name pid up=0
    [[ -f $DIR/etc/engine.conf ]] || { echo "nothing was started in $DIR"; return 3; }
    settings
    for name in qmaster execd; do
        if pid=$(daemon_pid $name); then
            printf '%-10s up   pid %s\n' $name "$pid"; up=$((up + 1))
        else
            printf '%-10s down\n' $name
        fi
    done
    ((up > 0)) || return 3
    sge timeout 5 "$PROGRAMS/qstat" -f 2>/dev/null
    ((up == 2)) && ready
}

case ${1:-} in
    -h | --help | help) usage 0 ;;
    up | down | status) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
DIR=$(realpath -m -- "$2")
[[ $DIR =~ ^/[A-Za-z0-9_./+-]+$ ]] || die 2 "DIR may hold only letters, digits and _ . / + -"
SGE_ROOT=$DIR/sge PROGRAMS=/usr/lib/gridengine HOST=$(hostname)
"$1"
