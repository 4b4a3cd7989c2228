#!/bin/bash
# diraccli.sh: the genuine commands of a classic DIRAC, against the DiracX of diracx.sh, in one folder.
#
#   diraccli.sh install            make the Python environment of the commands, and that of DiracX, where they are not yet
#   diraccli.sh up DIR             as diracx.sh; and a service that takes the commands' calls, and DIR/dirac.cfg, DIR/proxy.pem
#   diraccli.sh down DIR           stop all daemons
#   diraccli.sh status DIR         one line per daemon
#   diraccli.sh proxy DIR FILE [USER [GROUP]]   another proxy for a day: of bridge and user when nothing is said
#   diraccli.sh fault DIR KIND [OPTION...]   as diracx.sh; calls of the service are named 'RPC METHOD'
#
# Clients: . DIR/env.sh  has also DIRACSYSCONFIG, X509_USER_PROXY, X509_CERT_DIR and DIRAC_ENGINE_BIN, the commands' folder.
# A classic server is not installed: `classic` hands each call on to the real DiracX.
#
# Settings: those of diracx.sh, and
#   DIRAC_ENGINE_ROOT=   where the commands' environment is, shared by all engines; empty = a cache folder of the account
#
# Exit codes: those of diracx.sh.
set -u
export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAM=diraccli.sh OWNER=DIRACX_ENGINE_OWNER
here=$(dirname "$(realpath "$0")")
# shellcheck source=daemons.sh
. "$here/daemons.sh"

cache() {
    if [[ $(id -u) = 0 ]]; then echo /var/cache/gridbridge-engines; else echo "${XDG_CACHE_HOME:-$HOME/.cache}/gridbridge-engines"; fi
}
ROOT=$(realpath -m -- "${DIRAC_ENGINE_ROOT:-$(cache)/dirac-9.1.22}")
requirements=$here/diracx/requirements-dirac.txt

install() { # DIRAC and what its commands need, with exactly these versions, into $ROOT
    local want
    "$here/diracx.sh" install || exit
    umask 022
    mkdir -p "${ROOT%/*}" || die 1 "cannot create ${ROOT%/*}"
    want=$(cat "$requirements")
    exec 8>"$ROOT.lock" || die 1 "cannot write $ROOT.lock"
    flock -w 600 8 || die 1 "another diraccli.sh makes $ROOT"
    need "$ROOT.log" "${DIRACX_ENGINE_INSTALLED_ONLY:-}" "${dirac_packages[@]}"
    [[ $(cat "$ROOT/installed" 2>/dev/null) = "$want" ]] && { exec 8>&-; return; }
    [[ -z ${DIRACX_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "it is not in $ROOT; run $0 install"
    say "making $ROOT"
    rm -rf "$ROOT"
    make_environment </dev/null >"$ROOT.log" 2>&1 8>&- || die 69 "DIRAC cannot be installed; see $ROOT.log"
    printf '%s\n' "$want" >"$ROOT/installed"
    exec 8>&-
}
make_environment() { # what is built here needs what is not, and finds it in PATH
    local pip=("$ROOT/bin/python" -m pip install --no-deps)
    grep -E '^M2Crypto=' "$requirements" >"$ROOT.built"
    /usr/bin/python3 -m venv "$ROOT" && grep -vxFf "$ROOT.built" "$requirements" >"$ROOT.wheels" &&
        "${pip[@]}" --only-binary :all: -r "$ROOT.wheels" &&
        PATH=$ROOT/bin:$PATH "${pip[@]}" --no-build-isolation -r "$ROOT.built" &&
        "$ROOT/bin/python" -c 'import DIRAC.Interfaces.API.Dirac'
}

proxy() { # FILE USER GROUP
    local file=$1 user=${2:-bridge} group=${3:-user} name=$DIR/ca/proxy-$BASHPID
    [[ -f $DIR/ca/$user.pem ]] || make_certificate "$user" "/O=Engine/CN=$user" extendedKeyUsage=clientAuth
    printf 'keyUsage=critical,digitalSignature\nproxyCertInfo=critical,language:id-ppl-inheritAll\n%s\n' \
        "1.2.42.42=ASN1:IA5STRING:$group" >"$name.ext"
    {
        openssl req -newkey rsa:2048 -nodes -keyout "$name.key" -out "$name.csr" -subj "/O=Engine/CN=$user/CN=$BASHPID" &&
            openssl x509 -req -in "$name.csr" -CA "$DIR/ca/$user.pem" -CAkey "$DIR/ca/$user.key" -set_serial "$BASHPID" -sha256 \
                -days 1 -extfile "$name.ext" -out "$name.pem"
    } >/dev/null 2>&1 || die 1 "openssl makes no proxy"
    (umask 077 && cat "$name.pem" "$name.key" "$DIR/ca/$user.pem" >"$name.new") && mv "$name.new" "$file"
    rm -f "$name".*
}
write_configuration() { # of the commands
    local port
    port=$(cat "$DIR/etc/classic.port")
    cat >"$DIR/dirac.cfg" <<C
DIRAC
{
  VirtualOrganization = testvo
}
Systems
{
  Accounting
  {
    URLs
    {
      DataStore = https://localhost:$port/Accounting/TornadoDataStore
    }
  }
  ResourceStatus
  {
    URLs
    {
      ResourceStatus = https://localhost:$port/ResourceStatus/TornadoResourceStatus
    }
  }
  WorkloadManagement
  {
    URLs
    {
      JobManager = https://localhost:$port/WorkloadManagement/TornadoJobManager, https://localhost:$port/Other/TornadoJobManager
      JobMonitoring = https://localhost:$port/WorkloadManagement/TornadoJobMonitoring
      SandboxStore = https://localhost:$port/WorkloadManagement/TornadoSandboxStore
    }
  }
}
Registry
{
  VO
  {
    testvo
    {
      VOAdmin = bridge
    }
  }
  Users
  {
    bridge
    {
      DN = /O=Engine/CN=bridge
    }
    other
    {
      DN = /O=Engine/CN=other
    }
  }
  Groups
  {
    user
    {
      Users = bridge, other
      Properties = NormalUser
      VO = testvo
    }
  }
}
Resources
{
  StorageElements
  {
    SandboxSE
    {
      BackendType = DISET
      AccessProtocols = https
      AccessProtocol.1
      {
        PluginName = DIP
        Protocol = https
        Host = localhost
        Port = $port
        Path = /WorkloadManagement/TornadoSandboxStore
        Access = remote
      }
    }
  }
}
C
}
classic_answers() { [[ -s $DIR/etc/classic.port ]]; }
up() {
    umask 022
    install
    "$here/diracx.sh" up "$DIR" "$@" >/dev/null || exit
    lock
    # shellcheck source=/dev/null
    . "$DIR/env.sh"
    start_daemon classic "$DIRACX_ENGINE_PYTHON" -B "$here/diracx" classic "$DIR"
    await_daemon classic classic_answers
    mkdir -p "$DIR/certificates"
    cp "$DIR/ca/ca.pem" "$DIR/certificates/$(openssl x509 -noout -hash -in "$DIR/ca/ca.pem").0" || die 1 "cannot write $DIR"
    write_configuration
    [[ -f $DIR/proxy.pem ]] || proxy "$DIR/proxy.pem"
    cat >>"$DIR/env.sh" <<C
export DIRACSYSCONFIG='$DIR/dirac.cfg' X509_USER_PROXY='$DIR/proxy.pem' X509_CERT_DIR='$DIR/certificates'
export DIRAC_ENGINE_BIN='$ROOT/bin'
C
}
down() {
    [[ -d $DIR/etc ]] || return 0
    (lock && stop_daemon classic 5)
    "$here/diracx.sh" down "$DIR"
}

case ${1:-} in
    -h | --help | help) usage 0 ;;
    install) [[ $# = 1 ]] || usage 2 >&2 ;;
    down | status) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    up | fault) [[ $# -ge 2 && -n $2 ]] || usage 2 >&2 ;;
    proxy) [[ $# -ge 3 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
DIR=
if [[ $1 = install ]]; then install; exit; fi
usual_folder "$2"
case $1 in
    fault) "$here/diracx.sh" "$@" ;;
    status) "$here/diracx.sh" status "$DIR" && status_of classic ;;
    *) "$1" "${@:3}" ;;
esac
