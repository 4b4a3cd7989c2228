#!/bin/bash
# arc.sh: a private NorduGrid ARC CE (6.17) in one folder, for tests on one Debian 12 machine. Needs root.
#
#   arc.sh install       install Debian's packages where they are missing, and nothing else
#   arc.sh up DIR        start what is not running, wait until the web service answers, write DIR/env.sh
#   arc.sh down DIR      stop both daemons, end every job; the next `up` goes on with its jobs
#   arc.sh status DIR    one line per daemon
#
# Clients:  . DIR/env.sh   has ARC_REST (of A-REX' REST interface, version 1.0), ARC_URL, ARC_CA_FILE, X509_CERT_DIR; a user
# (ARC_CERT, ARC_KEY), another one who may submit but sees only own jobs (…_OTHER), and one whom the CE does not know
# (…_STRANGER). All jobs run as nobody, who must be able to enter DIR.
# Jobs run on this machine (LRMS `fork`); their end is seen within a second, not ten. A job that is cancelled runs on there: only
# what watches it is ended. HTTPS on loopback only, own CA, own configuration; nothing under /etc and /usr is used or changed.
# `up` repairs: daemons that are missing are started, on the same port; jobs go on meanwhile.
# Faults for tests: kill -9 "$(cat DIR/run/arex.pid)" (the jobs) or ws.pid (the web service), then `up`.
#
# Settings:
#   ARC_ENGINE_INSTALLED_ONLY=   not empty: nothing is installed, exit code 69 says that something is missing
#   ARC_ENGINE_SLOTS=-1          so many jobs run at a time, others wait; -1: all do
#
# Exit codes: 0 well (status: all up), 1 it failed (status: partly up), 2 usage, 3 status: nothing runs, 69 packages missing.
set -u
export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAM=arc.sh OWNER=ARC_ENGINE_OWNER
# shellcheck source=daemons.sh
. "$(dirname "$(realpath "$0")")/daemons.sh"

install() {
    local log=/var/cache/gridbridge-engines/arc.log
    umask 022
    mkdir -p "${log%/*}" || die 1 "cannot create ${log%/*}"
    need "$log" "${ARC_ENGINE_INSTALLED_ONLY:-}" "${arc_packages[@]}"
}
settings() {
    PORT=
    # shellcheck source=/dev/null
    if [[ -f $DIR/etc/engine.conf ]]; then . "$DIR/etc/engine.conf"; fi
}
free_port() { perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport'; }

# A private ARC_LOCATION, for three changes: listen on loopback only (arc.conf has no key for it), look all the time for ended
# jobs instead of every ten seconds, in which A-REX starts the look anew, and wait one second, not five, between the signals to
# what watches a cancelled job.
make_location() {
    rm -rf "$DIR/arc"
    mkdir -p "$DIR/arc/share"
    ln -s /usr/lib /usr/sbin /usr/bin "$DIR/arc/"
    cp -a /usr/share/arc "$DIR/arc/share/arc"
    # shellcheck disable=SC2016
    sed -i 's/^sleep 10$/[ "${looks:=0}" -ge 25 ] || { sleep 0.3; looks=$((looks + 1)) exec "$0" --config "$ARC_CONFIG" "$@"; }/' \
        "$DIR/arc/share/arc/scan-fork-job"
    sed -i 's/^\( *\)sleep 5$/\1sleep 1/' "$DIR/arc/share/arc/cancel-fork-job"
    sed -i 's|<tcp:Listen><tcp:Port>|<tcp:Listen><tcp:Interface>127.0.0.1</tcp:Interface><tcp:Port>|' "$DIR/arc/share/arc/arc-arex-ws-start"
}
make_certificates() {
    local base='/DC=org/DC=example' hash
    make_ca "$base/CN=CA of an ARC for tests"
    make_certificate host "$base/CN=localhost" "$host_extensions"
    make_certificate user "$base/CN=CI Runner" 'extendedKeyUsage=clientAuth'
    make_certificate other "$base/CN=Other Runner" 'extendedKeyUsage=clientAuth'
    make_certificate stranger "$base/CN=Stranger" 'extendedKeyUsage=clientAuth'
    hash=$(openssl x509 -in "$DIR/ca/ca.pem" -noout -subject_hash)
    cp "$DIR/ca/ca.pem" "$DIR/certificates/$hash.0"
    cat >"$DIR/certificates/$hash.signing_policy" <<C
access_id_CA X509 '$base/CN=CA of an ARC for tests'
pos_rights globus CA:sign
cond_subjects globus '"$base/*"'
C
    # without it the web service computes its own, of 4096 bits, for minutes
    openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out "$DIR/control/dhparam.pem" 2>/dev/null
}
make_folder() {
    mkdir -p "$DIR"/{etc,run,log,tmp,control,session,ca,certificates} 2>/dev/null || die 1 "cannot create $DIR"
    chmod 755 "$DIR" "$DIR/session"
    chmod 1777 "$DIR/tmp"
    setpriv --reuid nobody --regid nogroup --clear-groups test -x "$DIR/session" ||
        die 1 "account nobody cannot enter $DIR/session: choose a folder that all may enter"
}
make_engine() {
    [[ -e $DIR/etc/made ]] && return
    make_location
    make_certificates
    touch "$DIR/etc/made"
}
write_config() {
    echo "PORT=$PORT" >"$DIR/etc/engine.conf"
    cat >"$DIR/etc/arc.conf" <<C
[common]
hostname = localhost
x509_host_key = $DIR/ca/host.key
x509_host_cert = $DIR/ca/host.pem
x509_cert_dir = $DIR/certificates

[authgroup:ci]
subject = /DC=org/DC=example/CN=CI Runner
subject = /DC=org/DC=example/CN=Other Runner

[mapping]
map_to_user = ci nobody:nogroup

[lrms]
lrms = fork

[arex]
user = root
loglevel = 3
wakeupperiod = 1
controldir = $DIR/control
sessiondir = $DIR/session
tmpdir = $DIR/tmp
maxjobs = -1 ${ARC_ENGINE_SLOTS:--1} -1 -1 -1
logfile = $DIR/log/jobs.log
joblog = $DIR/log/joblog
pidfile = $DIR/run/arex-own.pid

[arex/ws]
wsurl = https://localhost:$PORT/arex
logfile = $DIR/log/requests.log
pidfile = $DIR/run/ws-own.pid

[arex/ws/jobs]
allowaccess = ci

[infosys]
logfile = $DIR/log/information.log

[infosys/glue2]

[infosys/cluster]

[queue:fork]
C
    cat >"$DIR/env.sh.new" <<C && mv "$DIR/env.sh.new" "$DIR/env.sh"
export ARC_REST='https://localhost:$PORT/arex/rest/1.0' ARC_URL='https://localhost:$PORT/arex'
export ARC_CA_FILE='$DIR/ca/ca.pem' X509_CERT_DIR='$DIR/certificates'
export ARC_CERT='$DIR/ca/user.pem' ARC_KEY='$DIR/ca/user.key'
export ARC_CERT_OTHER='$DIR/ca/other.pem' ARC_KEY_OTHER='$DIR/ca/other.key'
export ARC_CERT_STRANGER='$DIR/ca/stranger.pem' ARC_KEY_STRANGER='$DIR/ca/stranger.key'
C
}

answers() { # ours: another program that has the port cannot have our certificate
    curl -sf -o /dev/null --max-time 10 --cacert "$DIR/ca/ca.pem" --cert "$DIR/ca/user.pem" --key "$DIR/ca/user.key" \
        "https://localhost:$PORT/arex/rest/1.0/jobs"
}
daemon() { # NAME STARTER
    start_daemon "$1" env ARC_CONFIG="$DIR/etc/arc.conf" ARC_LOCATION="$DIR/arc" "$DIR/arc/share/arc/$2" -f
}
start_both() {
    write_config
    daemon arex arc-arex-start
    daemon ws arc-arex-ws-start
}
up() {
    local tries
    umask 022
    [[ $(id -u) = 0 ]] || die 69 "A-REX starts jobs for other users: run as root"
    install
    settings
    make_folder
    lock
    settings
    make_engine
    if [[ -n $PORT ]]; then
        start_both
        await_daemon ws answers
    else
        for ((tries = 0; tries < 3; tries++)); do # another program may take a port that was just free
            PORT=$(free_port)
            start_both
            (await_daemon ws answers) && break
            stop_daemon ws 5
            stop_daemon arex 1
            PORT=
        done
        [[ -n $PORT ]] || exit 1
    fi
    await_daemon arex daemon_pid arex >/dev/null
    cat "$DIR/env.sh"
}
jobs_of_engine() { # pids that work in a job's folder, whatever environment they have
    find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$DIR/session/*" -o -lname "$DIR/control/*" \) -printf '%h\n' 2>/dev/null | cut -d/ -f3
}
down() {
    [[ -d $DIR/etc ]] || return 0
    lock
    stop_daemon ws 5
    stop_daemon arex 1 # it would take six; what it keeps outlives a kill
    sweep jobs_of_engine
    rm -f "$DIR"/tmp/arex.xml.*
}
status() { settings && status_of arex ws && answers; }

case ${1:-} in
    -h | --help | help) usage 0 ;;
    install) [[ $# = 1 ]] || usage 2 >&2 ;;
    up | down | status) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
[[ $1 = install ]] || usual_folder "$2"
"$1"
