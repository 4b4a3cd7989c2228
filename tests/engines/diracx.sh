#!/bin/bash
# diracx.sh: a private DiracX in one folder, for tests on one Debian 12 machine.
#
#   diracx.sh install              make the Python environment of the release where it is not yet, and nothing else
#   diracx.sh up DIR [OPTION...]   start what is not running, wait until it answers, write DIR/env.sh and DIR/credentials.json
#   diracx.sh down DIR             stop the three daemons, end what jobs left behind; databases and sandboxes stay
#   diracx.sh status DIR           one line per daemon
#   diracx.sh token DIR [OPTION...]        a new access token: printed, and written to the credential file (-h tells the options)
#   diracx.sh fault DIR KIND [OPTION...]   something goes wrong, once or --count times (-h tells all kinds)
#   diracx.sh fault DIR list|fired|clear   what waits to go wrong; how often each did; nothing is to go wrong any more
#   diracx.sh jobs DIR [--open]    table of all jobs; of those that wait or run
#   diracx.sh kill DIR [ID...]     an administrator ends these jobs, all when none is named
#
# Clients:  . DIR/env.sh   has DIRACX_URL, DIRACX_CA_PATH and DIRACX_CREDENTIALS_PATH, as the official client reads them, and
# DIRACX_ENGINE_ VO, GROUP, USER (owner of jobs), SITE, PYTHON (an interpreter with zstandard).
# The released server with SQLite, on loopback with TLS and a CA of its own; `store`, an object store that keeps files, for
# sandboxes; `executor`, a stand-in for optimizers, matcher, pilots and JobWrappers, which DiracX has none of.
# OPTIONs are the executor's, remembered by the folder until others are given. The most important:
#   --slots N            jobs that run at a time, 4 when nothing is said
#   --run-as ACCOUNT     account of the payloads, which then cannot read DIR; needs root
#   --hide PATH[:PATH]   folders that payloads see empty; needs root
#   --heartbeat SECONDS  how soon a killed job is ended
# `up` repairs: daemons that are missing are started, with the same ports; jobs and job ids are kept.
# Faults of the machine: kill -9 "$(cat DIR/run/server.pid)" (or store, executor), then `up`. Payloads of a killed executor
# are ended by the next one, their jobs become Stalled and Failed, or are rescheduled.
#
# Settings:
#   DIRACX_ENGINE_RELEASE=0.7.0     or 0.3.0; a folder keeps to its first one
#   DIRACX_ENGINE_ROOT=             where the Python environment is, shared by all engines; empty = a cache folder of the account
#   DIRACX_ENGINE_INSTALLED_ONLY=   not empty: nothing is installed, exit code 69 says that something is missing
#   DIRACX_ENGINE_OPTIONS=          OPTIONs of an `up` that has none
# Read by every `up` that starts the server, the second by `token`, too:
#   DIRACX_ENGINE_ACCESS_MINUTES=20, DIRACX_ENGINE_REFRESH_MINUTES=60   how long tokens live
#
# Exit codes: 0 well (status: all up), 1 it failed (status: partly up), 2 usage, 3 status: nothing runs, 69 not installed.
set -u
export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAM=diracx.sh OWNER=DIRACX_ENGINE_OWNER
here=$(dirname "$(realpath "$0")")
# shellcheck source=daemons.sh
. "$here/daemons.sh"

settings() {
    RELEASE=${DIRACX_ENGINE_RELEASE:-0.7.0} OPTIONS=${DIRACX_ENGINE_OPTIONS:-}
    # shellcheck source=/dev/null
    if [[ -n $DIR && -f $DIR/etc/engine.conf ]]; then . "$DIR/etc/engine.conf"; fi
    [[ -z ${DIRACX_ENGINE_RELEASE:-} || $DIRACX_ENGINE_RELEASE = "$RELEASE" ]] || die 2 "$DIR holds a DiracX of release $RELEASE"
    [[ -f $here/diracx/requirements-$RELEASE.txt ]] || die 2 "DIRACX_ENGINE_RELEASE must be 0.7.0 or 0.3.0"
    ROOT=$(realpath -m -- "${DIRACX_ENGINE_ROOT:-$(cache)/diracx-$RELEASE}") PYTHON=$ROOT/bin/python
}
cache() {
    if [[ $(id -u) = 0 ]]; then echo /var/cache/gridbridge-engines; else echo "${XDG_CACHE_HOME:-$HOME/.cache}/gridbridge-engines"; fi
}
install() { # DiracX and what it needs, with exactly these versions, into $ROOT
    local want
    umask 022
    mkdir -p "${ROOT%/*}" || die 1 "cannot create ${ROOT%/*}"
    want=$(cat "$here/diracx/requirements.txt" "$here/diracx/requirements-$RELEASE.txt")
    exec 8>"$ROOT.lock" || die 1 "cannot write $ROOT.lock"
    flock -w 600 8 || die 1 "another diracx.sh makes $ROOT"
    need "$ROOT.log" "${DIRACX_ENGINE_INSTALLED_ONLY:-}" "${diracx_packages[@]}"
    [[ $(cat "$ROOT/installed" 2>/dev/null) = "$want" ]] && { exec 8>&-; return; }
    [[ -z ${DIRACX_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "it is not in $ROOT; run $0 install"
    say "making $ROOT"
    rm -rf "$ROOT"
    { /usr/bin/python3 -m venv "$ROOT" && "$PYTHON" -m pip install --no-deps --only-binary :all: -r "$here/diracx/requirements-$RELEASE.txt" &&
        "$PYTHON" -c 'import diracx.testing.routers, diracx.routers.factory, uvicorn, zstandard'; } </dev/null >"$ROOT.log" 2>&1 8>&- || die 69 "DiracX $RELEASE cannot be installed; see $ROOT.log"
    printf '%s\n' "$want" >"$ROOT/installed"
    exec 8>&-
}

make_configuration() { # the git repository that DiracX is configured by
    rm -rf "$DIR/configuration"
    git init -q -b master "$DIR/configuration"
    cat >"$DIR/configuration/default.yml" <<'C'
DIRAC: {}
Operations:
  testvo: {}
Registry:
  testvo:
    DefaultGroup: user
    Groups:
      user:
        Properties: [NormalUser]
        Users: [11111111-2222-3333-4444-555555555555, 22222222-2222-3333-4444-555555555555]
      admin:
        Properties: [JobAdministrator]
        Users: [99999999-2222-3333-4444-555555555555]
    IdP:
      ClientID: none
      URL: idp.invalid
    Users:
      11111111-2222-3333-4444-555555555555: {PreferedUsername: bridge}
      22222222-2222-3333-4444-555555555555: {PreferedUsername: other}
      99999999-2222-3333-4444-555555555555: {PreferedUsername: executor}
C
    git -C "$DIR/configuration" add default.yml
    git -C "$DIR/configuration" -c user.name=engine -c user.email=engine@localhost commit -q -m 'The configuration of tests'
}
make_keys() {
    local key=$DIR/etc/signing.pem
    openssl genpkey -algorithm ed25519 -out "$key"
    printf '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "%s", "d": "%s", "key_ops": ["sign", "verify"], "alg": "Ed25519", "kid": "%s"}]}\n' \
        "$(openssl pkey -in "$key" -pubout -outform DER | tail -c 32 | base64url)" "$(openssl pkey -in "$key" -outform DER | tail -c 32 | base64url)" \
        "$(openssl rand -hex 16)" >"$DIR/etc/jwks.json"
    openssl rand -base64 32 >"$DIR/etc/state.key"
    openssl rand -hex 24 >"$DIR/etc/legacy.key"
}
base64url() { base64 -w 0 | tr '+/' '-_' | tr -d '='; }
make_folder() {
    mkdir -p "$DIR"/{etc,run,log,tmp,db,s3/sandboxes,ca,executor} 2>/dev/null || die 1 "cannot create $DIR"
    chmod 711 "$DIR" "$DIR/executor" # payloads of another account reach their own folder, nothing else
    chmod 700 "$DIR"/{etc,run,log,tmp,db,s3}
}
make_engine() {
    [[ -e $DIR/etc/made ]] && return
    make_ca '/CN=CA of a DiracX for tests'
    make_certificate host /CN=localhost "$host_extensions"
    make_configuration
    (umask 077 && make_keys) || die 1 "openssl makes no keys"
    touch "$DIR/etc/made"
}
write_env() {
    cat >"$DIR/env.sh.new" <<C && mv "$DIR/env.sh.new" "$DIR/env.sh"
export DIRACX_URL='https://localhost:$(cat "$DIR/etc/server.port")'
export DIRACX_CA_PATH='$DIR/ca/ca.pem'
export DIRACX_CREDENTIALS_PATH='$DIR/credentials.json'
export DIRACX_ENGINE_VO='testvo' DIRACX_ENGINE_GROUP='user' DIRACX_ENGINE_USER='bridge' DIRACX_ENGINE_SITE='LCG.Engine.org'
export DIRACX_ENGINE_PYTHON='$PYTHON'
C
}

program() { # VERB ARGUMENTS: of the Python part, in the foreground
    env -i PATH="$PATH" HOME="$DIR" LANG=C.UTF-8 \
        DIRACX_SERVICE_AUTH_REFRESH_TOKEN_EXPIRE_MINUTES="${DIRACX_ENGINE_REFRESH_MINUTES:-60}" "$PYTHON" -B "$here/diracx" "$1" "$DIR" "${@:2}" 9>&-
}
store_answers() { [[ -s $DIR/etc/store.port ]] && curl -sfI -o /dev/null --max-time 5 "http://127.0.0.1:$(cat "$DIR/etc/store.port")/sandboxes"; }
server_answers() { # its configuration is loaded by the first that asks for it
    [[ -s $DIR/etc/server.port ]] &&
        curl -sf -o /dev/null --max-time 5 --cacert "$DIR/ca/ca.pem" "https://localhost:$(cat "$DIR/etc/server.port")/.well-known/dirac-metadata"
}
executor_ready() { [[ -e $DIR/executor/ready ]]; }
up() {
    umask 022
    settings
    install
    make_folder
    lock
    settings
    (($# == 0)) || OPTIONS=$*
    [[ ! $OPTIONS =~ [^A-Za-z0-9_./:,=\ -] ]] || die 2 "OPTIONs may hold only letters, digits, blanks and _ . / : , = -"
    printf "RELEASE=%s OPTIONS='%s'\n" "$RELEASE" "$OPTIONS" >"$DIR/etc/engine.conf"
    make_engine
    start_daemon store "$PYTHON" -B "$here/diracx" store "$DIR"
    await_daemon store store_answers
    start_daemon server env DIRACX_SERVICE_AUTH_ACCESS_TOKEN_EXPIRE_MINUTES="${DIRACX_ENGINE_ACCESS_MINUTES:-20}" \
        DIRACX_SERVICE_AUTH_REFRESH_TOKEN_EXPIRE_MINUTES="${DIRACX_ENGINE_REFRESH_MINUTES:-60}" "$PYTHON" -B "$here/diracx" server "$DIR"
    await_daemon server server_answers
    write_env
    [[ -f $DIR/credentials.json ]] || program token >/dev/null || die 1 "no token"
    daemon_pid executor >/dev/null || rm -f "$DIR/executor/ready"
    # shellcheck disable=SC2086 # one word for each option
    start_daemon executor "$PYTHON" -B "$here/diracx" executor "$DIR" $OPTIONS
    await_daemon executor executor_ready
    cat "$DIR/env.sh"
}
down() {
    [[ -d $DIR/etc ]] || return 0
    lock
    stop_daemon executor 15
    stop_daemon server 10
    stop_daemon store 5
    sweep true
}
status() { status_of store server executor && store_answers && server_answers; }

case ${1:-} in
    -h | --help | help) usage 0 ;;
    install) [[ $# = 1 ]] || usage 2 >&2 ;;
    down | status) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    up | token | fault | jobs | kill) [[ $# -ge 2 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
DIR=
if [[ $1 = install ]]; then settings; install; exit; fi
usual_folder "$2"
case $1 in
    token | fault | jobs | kill)
        [[ -e $DIR/etc/made ]] || die 3 "nothing was started in $DIR"
        settings
        program "$1" "${@:3}"
        ;;
    *) "$1" "${@:3}" ;;
esac
