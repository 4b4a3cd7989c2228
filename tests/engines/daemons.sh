# Sourced by the scripts of engines that start daemons of their own in the foreground. Theirs to set: PROGRAM, the script's
# name; OWNER, the variable that marks each process of an engine, with its folder DIR as value.
# shellcheck shell=bash

say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }
die() { local code=$1; shift; say "$*"; exit "$code"; }
usage() { sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit "$1"; }
lock() {
    exec 9>"$DIR/etc/lock" || die 1 "cannot write in $DIR"
    flock -w 300 9 || die 1 "another $PROGRAM works on $DIR"
}
usual_folder() { # DIR, from the second argument
    DIR=$(realpath -m -- "$1")
    [[ $DIR =~ ^/[A-Za-z0-9_./+-]+$ ]] || die 2 "DIR may hold only letters, digits and _ . / + -"
}

alive() { # a pid that runs; a zombie does not
    local line
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    [[ ${line##*) } != [ZX]* ]]
}
daemon_pid() { # NAME: the pid in DIR/run/NAME.pid if it is still our daemon
    local pid
    pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] && alive "$pid" &&
        grep -qszxF -- "$OWNER=$DIR" "/proc/$pid/environ" && echo "$pid"
}
start_daemon() { # NAME COMMAND...: in a session of its own, if it does not run
    local name=$1 pid
    shift
    daemon_pid "$name" >/dev/null && return
    env -i PATH="$PATH" HOME="$DIR" LANG=C.UTF-8 TMPDIR="$DIR/tmp" "$OWNER=$DIR" setsid "$@" </dev/null >>"$DIR/log/$name.log" 2>&1 9>&- &
    pid=$!
    echo "$pid" >"$DIR/run/$name.pid"
}
await_daemon() { # NAME COMMAND...: until the command succeeds, a minute at most
    local name=$1 i
    shift
    for ((i = 0; i < 600; i++)); do
        "$@" 9>&- && return
        alive "$(cat "$DIR/run/$name.pid")" || break
        sleep 0.1
    done
    tail -n 5 "$DIR/log/$name.log" >&2
    die 1 "$name did not start; see $DIR/log/$name.log"
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
leftovers() { # PIDS: those, what carries our mark, and their children, whatever environment those have
    local pid known parent grown=1
    known=" $* $(grep -slzxF -- "$OWNER=$DIR" /proc/[0-9]*/environ | cut -d/ -f3 | xargs) "
    while ((grown)); do
        grown=0
        while read -r pid parent; do
            [[ $known == *" $parent "* && $known != *" $pid "* ]] && known+="$pid " && grown=1
        done < <(ps -e -o pid=,ppid=)
    done
    for pid in $known; do alive "$pid" && echo "$pid"; done
}
sweep() { # FUNCTION: ends all leftovers, with the pids that it names
    local i pids
    for ((i = 0; i < 60; i++)); do
        # shellcheck disable=SC2046 # one word for each pid
        mapfile -t pids < <(leftovers $("$1"))
        ((${#pids[@]})) || return 0
        kill -KILL "${pids[@]}" 2>/dev/null
        sleep 0.1
    done
    die 1 "still running: ${pids[*]}"
}
resident() { awk '/^VmRSS/ {printf "%d MB", $2 / 1024}' "/proc/$1/status"; }
status_of() { # NAMES: one line each, 3 = none runs, 1 = not all
    local name pid up=0 all=$#
    [[ -d $DIR/run ]] || { echo "nothing was started in $DIR"; return 3; }
    for name; do
        if pid=$(daemon_pid "$name"); then
            printf '%-10s up   pid %s, %s\n' "$name" "$pid" "$(resident "$pid")"; up=$((up + 1))
        else
            printf '%-10s down\n' "$name"
        fi
    done
    ((up > 0)) || return 3
    ((up == all))
}

# shellcheck source=../../deploy/packages.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../../deploy/packages.sh"

need() { # LOG INSTALLED_ONLY PACKAGES
    local log=$1 only=$2 mask=/usr/sbin/policy-rc.d made='' rc package missing=()
    shift 2
    for package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    [[ -z $only ]] || die 69 "packages missing: ${missing[*]}"
    [[ $(id -u) = 0 ]] || die 69 "as root: apt-get install --no-install-recommends ${missing[*]}"
    if [[ ! -e $mask ]]; then printf '#!/bin/sh\nexit 101\n' >"$mask" && chmod 755 "$mask" && made=1; fi # no service may start
    install_packages "${missing[@]}" </dev/null >"$log" 2>&1
    rc=$?
    [[ -z $made ]] || rm -f "$mask"
    ((rc == 0)) || die 69 "apt-get could not install ${missing[*]}; see $log"
}

# Certificates for localhost, of a CA of the engine's own: DIR/ca/ca.pem, NAME.pem and NAME.key.
make_ca() { # SUBJECT
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -sha256 -keyout "$DIR/ca/ca.key" -out "$DIR/ca/ca.pem" -subj "$1" \
        -addext keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:TRUE >/dev/null 2>&1 || die 1 "openssl makes no CA"
    chmod 600 "$DIR/ca/ca.key"
}
make_certificate() { # NAME SUBJECT EXTENSIONS, with \n between them
    local file=$DIR/ca/$1
    printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n%b\n' "$3" >"$file.ext"
    {
        openssl req -newkey rsa:2048 -nodes -keyout "$file.key" -out "$file.csr" -subj "$2"
        openssl x509 -req -in "$file.csr" -CA "$DIR/ca/ca.pem" -CAkey "$DIR/ca/ca.key" -CAcreateserial -days 3650 -sha256 \
            -extfile "$file.ext" -out "$file.pem"
    } >/dev/null 2>&1 || die 1 "openssl makes no certificate for $1"
    chmod 400 "$file.key"
    rm -f "$file.csr" "$file.ext"
}
# shellcheck disable=SC2034 # for who sources this
host_extensions='subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth'
