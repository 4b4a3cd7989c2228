#!/bin/bash
# oar.sh: a private OAR (2.5.9) in one folder, for tests on one Debian 12 machine. Needs root.
#
#   oar.sh install       make the root folder that OAR runs in where it is not yet, and nothing else
#   oar.sh up DIR        start what is not running, wait until jobs are taken, write DIR/env.sh
#   oar.sh down DIR      end all that runs in it; the next `up` goes on with its database
#   oar.sh status DIR    one line per daemon, then the resources
#
# Clients:  . DIR/env.sh && oarsub …      as an ordinary user (uid >= 1000): OAR takes no jobs of root.
# OAR wants PostgreSQL, an sshd, fixed ports and lines in /etc/hosts. So it runs beside this system: in a root folder of its
# own, made of Debian's packages, and with own mounts, processes, host name and network, which has nothing but loopback; of
# this machine jobs see /tmp and DIR. Programs in DIR/bin hand a command over a socket to a server inside, which runs it as
# the account that asked, and gives its answer back; one that is killed meanwhile goes on inside.
# `up` repairs: daemons that are missing are started, jobs go on.
# Faults for tests: DIR/bin/inside pkill -9 Almighty (or postgres, sshd), then `up`.
#
# Settings:
#   OAR_ENGINE_ROOT=             the root folder, shared by all engines; empty = one in /var/cache/gridbridge-engines
#   OAR_ENGINE_INSTALLED_ONLY=   not empty: nothing is installed, exit code 69 says that something is missing
# Read by the first `up` of a folder:
#   OAR_ENGINE_SLOTS=4           jobs that run at a time
#
# Exit codes: 0 well (status: all up), 1 it failed (status: partly up), 2 usage, 3 status: nothing runs, 69 packages missing.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'oar.sh: %s\n' "$*" >&2; }
die() { local code=$1; shift; say "$*"; exit "$code"; }
usage() { sed -n '2,/^set -u/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit "$1"; }
lock() {
    exec 9>"$DIR/lock" || die 1 "cannot write in $DIR"
    flock -w 120 9 || die 1 "another oar.sh works on $DIR"
}

# --- packages --------------------------------------------------------------------------------------------------------

# shellcheck source=../../deploy/packages.sh
. "$(dirname "$(realpath "$0")")/../../deploy/packages.sh"
# shellcheck source=debian.sh
. "$(dirname "$(realpath "$0")")/debian.sh"
inside_packages=postgresql,oar-server,oar-server-pgsql,oar-user,oar-user-pgsql,oar-node,openssh-server,openssh-client
inside_packages+=,libjson-perl,procps,iproute2

install() { # OAR and what it needs, into $ROOT
    [[ $(id -u) = 0 ]] || die 69 "OAR's daemons start jobs for other users: run as root"
    umask 022
    mkdir -p "${ROOT%/*}" || die 1 "cannot create ${ROOT%/*}"
    exec 8>"$ROOT.lock" || die 1 "cannot write $ROOT.lock"
    flock -w 900 8 || die 1 "another oar.sh makes $ROOT"
    [[ -x $ROOT/usr/sbin/Almighty ]] && { exec 8>&-; return; }
    [[ -z ${OAR_ENGINE_INSTALLED_ONLY:-} ]] || die 69 "it is not in $ROOT; run $0 install"
    say "making $ROOT"
    { install_packages "${oar_packages[@]}" && apt-get -qq update; } </dev/null 8>&- >"$ROOT.log" 2>&1 || die 69 "apt-get failed; see $ROOT.log"
    rm -rf "$ROOT.new"
    # shellcheck disable=SC2046 # without a mirror of its own, Debian's
    mmdebstrap --variant=minbase --include="$inside_packages" bookworm "$ROOT.new" $(debian_mirror) </dev/null 8>&- >>"$ROOT.log" 2>&1 ||
        die 69 "mmdebstrap could not install OAR; see $ROOT.log"
    mv -T "$ROOT.new" "$ROOT" || die 1 "cannot make $ROOT"
    exec 8>&-
}

# --- processes -------------------------------------------------------------------------------------------------------

engine_pid() { # of the process whose end ends all that runs inside
    local pid
    pid=$(cat "$DIR/run/engine.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] &&
        grep -qszxF -- "OAR_ENGINE_OWNER=$DIR" "/proc/$pid/environ" && echo "$pid"
}
inside() { timeout 120 "$DIR/bin/inside" "$@" </dev/null 9>&-; }
starts_inside() { # with mounts, processes, host name and network of its own: what the rest of this script is about
    local link
    exec 9>&-
    mount --make-rprivate / && mount -t tmpfs -o mode=755 oar "$DIR/root" && cd "$DIR/root" || exit 1
    mkdir -p usr etc var run tmp dev proc root ".$DIR"
    for link in bin sbin lib lib32 lib64 libx32; do
        [[ ! -L $ROOT/$link ]] || ln -s "usr/$link" "$link"
    done
    mount --bind "$ROOT/usr" usr && mount -o remount,bind,ro usr && mount --bind "$DIR/etc" etc && mount --bind "$DIR/var" var &&
        mount -t tmpfs -o mode=755 oar run && mount --rbind /dev dev && mount -t tmpfs -o mode=1777 oar dev/shm &&
        mount -t proc proc proc && mount --bind /tmp tmp && mkdir -p ".$DIR" && mount --bind "$DIR" ".$DIR" || exit 1
    hostname oar
    exec chroot . /usr/bin/perl "$DIR/bin/server" "$DIR/run/commands"
}
start_inside() {
    local i
    rm -f "$DIR/run/commands"
    env -i PATH="$PATH" LANG=C.UTF-8 OAR_ENGINE_OWNER="$DIR" OAR_ENGINE_ROOT="$ROOT" setsid -f /bin/sh -c 'echo $$ >"$0/run/engine.pid" &&
        exec unshare --mount --pid --net --uts --ipc --fork --kill-child "$1" starts_inside "$0"' "$DIR" "$(realpath "$0")" </dev/null >"$DIR/log/engine.out" 2>&1 9>&-
    for ((i = 0; i < 100; i++)); do
        [[ -S $DIR/run/commands ]] && inside true && return
        sleep 0.1
    done
    die 1 "the processes cannot be kept apart from this system's; see $DIR/log/engine.out"
}

# --- files -----------------------------------------------------------------------------------------------------------

write_programs() {
    local program
    cat >"$DIR/bin/server" <<'C'
# Runs commands for accounts of this machine: its first process inside.
use strict;
use warnings;
use IO::Socket::UNIX;
use POSIX ();
my %for_all = map { $_ => 1 } qw(oarsub oarstat oardel oarnodes oarhold oarresume);
umask 0;
my $server = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 100) or die "$ARGV[0]: $!";
umask 022;
$SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
while (1) {
    my $client = $server->accept or next;
    if (fork) { next }
    $SIG{CHLD} = 'DEFAULT';
    my (undef, $uid, $gid) = unpack 'iII', getsockopt $client, SOL_SOCKET, 17;    # SO_PEERCRED
    my ($folder, @argv) = split /\0/, do { local $/; <$client> // '' }, -1;
    pop @argv;
    my $name = @argv ? $argv[0] : '';
    open my $out, '+>', undef or die;
    open my $err, '+>', undef or die;
    my $status = 126 << 8;
    if ($uid == 0 or $for_all{$name}) {
        my $pid = fork;
        if (!$pid) {
            POSIX::setsid();
            open STDIN, '<', '/dev/null';
            open STDOUT, '>&', $out;
            open STDERR, '>&', $err;
            $SIG{PIPE} = 'DEFAULT';
            my @account = getpwuid $uid or die "no account $uid\n";
            $( = $gid;
            $) = "$gid $gid";
            POSIX::setuid($uid);
            chdir $folder or chdir '/';
            %ENV = (PATH => '/usr/bin:/bin:/usr/sbin:/sbin', LANG => 'C', HOME => $account[7], SHELL => $account[8],
                USER => $account[0], LOGNAME => $account[0], PWD => POSIX::getcwd());
            exec { $name } @argv or POSIX::_exit(127);
        }
        waitpid $pid, 0;
        $status = $?;
    }
    my @answers = map { seek $_, 0, 0; local $/; <$_> // '' } $out, $err;
    print $client pack('N N/a N/a', $status, @answers);
    $client->flush;
    POSIX::_exit(0);
}
C
    cat >"$DIR/bin/inside" <<'C'
#!/usr/bin/perl
# A command of OAR, by its name or as the arguments of `inside`: run where OAR is.
use strict;
use warnings;
use Cwd ();
use File::Basename;
use IO::Socket::UNIX;
my $name = basename $0;
my $socket = IO::Socket::UNIX->new(Peer => dirname(dirname(Cwd::abs_path($0))) . '/run/commands');
die "$name: OAR does not run here: $!\n" if !$socket;
print $socket map { "$_\0" } Cwd::getcwd() // '/', ($name eq 'inside' ? () : $name), @ARGV;
$socket->flush;
shutdown $socket, 1;
my $answer = do { local $/; <$socket> // '' };
die "$name: OAR was stopped\n" if length $answer < 12;
my ($status, $out, $err) = unpack 'N N/a N/a', $answer;
print STDERR $err;
print STDOUT $out;
close STDOUT;
kill $status & 127, $$ if $status & 127;
exit($status >> 8);
C
    chmod 755 "$DIR/bin/inside"
    for program in oarsub oarstat oardel oarnodes oarhold oarresume; do ln -sf inside "$DIR/bin/$program"; done
    cat >"$DIR/bin/start" <<'C'
#!/bin/bash
# Inside, as root: every daemon that does not run.
set -e
ip link set lo up
install -d -o postgres /run/postgresql
install -d /run/sshd
pg_isready -q || pg_ctlcluster 15 main start
[[ -e /etc/oar/database-made ]] || { oar-database --create --db-is-local -y && touch /etc/oar/database-made; }
pgrep -x sshd >/dev/null || /usr/sbin/sshd -f /etc/oar/sshd_config
pgrep -f '^Almighty|/Almighty' >/dev/null || oar-server
C
    chmod 755 "$DIR/bin/start"
}
make_system() { # what OAR writes in: its own copy of /etc and /var
    local account uid gid
    [[ -e $DIR/etc/made ]] && return
    rm -rf "$DIR/etc" "$DIR/var"
    cp -a "$ROOT/etc" "$ROOT/var" "$DIR/" || die 1 "cannot copy to $DIR"
    echo oar >"$DIR/etc/hostname"
    echo '127.0.0.1 localhost oar' >"$DIR/etc/hosts" # without its name OAR sees no job end
    # accounts that may submit, as they are here; OAR starts a job with its account's shell
    sed -i '/^nobody:/d' "$DIR/etc/passwd"
    while IFS=: read -r account _ uid gid _; do
        ((uid >= 1000)) && echo "$account:x:$uid:$gid::/:/bin/bash" >>"$DIR/etc/passwd"
    done </etc/passwd
    # no cgroups; the scheduler need not rest between two calls
    sed -i -e 's/^DB_BASE_PASSWD=.*/DB_BASE_PASSWD="oar"/' -e 's/^DB_BASE_PASSWD_RO=.*/DB_BASE_PASSWD_RO="oar_ro"/' \
        -e 's/^JOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD/#&/' "$DIR/etc/oar/oar.conf"
    echo 'SCHEDULER_MIN_TIME_BETWEEN_2_CALLS="0"' >>"$DIR/etc/oar/oar.conf"
    echo 'fsync = off' >>"$DIR/etc/postgresql/15/main/postgresql.conf" # what is written outlives a kill all the same
    sed -i -e '/^UsePrivilegeSeparation/d' -e '/^KeepAlive/d' -e '/^Protocol/d' "$DIR/etc/oar/sshd_config" # obsolete keys
    touch "$DIR/etc/made"
}
make_resources() {
    local i
    [[ -e $DIR/etc/oar/resources-made ]] && return
    for ((i = 0; i < ${OAR_ENGINE_SLOTS:-4}; i++)); do
        inside oarnodesetting -a -h localhost -p cpuset="$i" >>"$DIR/log/resources.out" 2>&1 || die 1 "no resource; see $DIR/log/resources.out"
    done
    touch "$DIR/etc/oar/resources-made"
}

# --- up, down, status ------------------------------------------------------------------------------------------------

ready() { inside oarnodes 2>/dev/null | grep -q '^ *state *: *Alive' && inside pgrep -f Almighty >/dev/null; }
up() {
    local i
    [[ $(id -u) = 0 ]] || die 69 "OAR's daemons start jobs for other users: run as root"
    [[ ${OAR_ENGINE_SLOTS:-4} =~ ^[1-9][0-9]?$ ]] || die 2 "OAR_ENGINE_SLOTS must be 1 to 99"
    install
    mkdir -p "$DIR"/{bin,log,run,root} 2>/dev/null || die 1 "cannot create $DIR"
    lock
    make_system
    if ! engine_pid >/dev/null; then
        write_programs
        start_inside
    fi
    inside "$DIR/bin/start" >"$DIR/log/start.out" 2>&1 || die 1 "a daemon did not start; see $DIR/log/start.out"
    make_resources
    printf 'export PATH="%s:$PATH"\n' "$DIR/bin" >"$DIR/env.sh"
    for ((i = 0; i < 300; i++)); do
        ready && { cat "$DIR/env.sh"; return; }
        sleep 0.2
    done
    status >&2
    die 1 "OAR is not ready; see $DIR/var/log/oar.log"
}
down() {
    local i pid processes
    [[ -e $DIR/lock ]] || return 0
    lock
    pid=$(engine_pid) || return 0
    inside pg_ctlcluster 15 main stop -m fast >/dev/null 2>&1
    processes=$(readlink "/proc/$pid/ns/pid_for_children")
    kill -KILL "$pid" # its first child goes with it, and all others with that one
    for ((i = 0; i < 300; i++)); do
        readlink /proc/[0-9]*/ns/pid | grep -qxF "$processes" || { rm -f "$DIR/run/engine.pid"; return 0; }
        sleep 0.1
    done
    die 1 "still running: processes in $processes"
}
status() {
    local name up=0
    engine_pid >/dev/null || { echo "nothing runs in $DIR"; return 3; }
    for name in postgres sshd Almighty; do
        if inside pgrep -f "$name" >/dev/null; then printf '%-10s up\n' $name; up=$((up + 1)); else printf '%-10s down\n' $name; fi
    done
    inside oarnodes -s 2>/dev/null
    ((up == 3)) && ready
}

case ${1:-} in
    -h | --help | help) usage 0 ;;
    install) [[ $# = 1 ]] || usage 2 >&2 ;;
    up | down | status | starts_inside) [[ $# = 2 && -n $2 ]] || usage 2 >&2 ;;
    *) usage 2 >&2 ;;
esac
ROOT=$(realpath -m -- "${OAR_ENGINE_ROOT:-/var/cache/gridbridge-engines/oar-bookworm}")
DIR=
if [[ $1 != install ]]; then
    DIR=$(realpath -m -- "$2")
    [[ $DIR =~ ^/[A-Za-z0-9_./+-]+$ ]] || die 2 "DIR may hold only letters, digits and _ . / + -"
fi
"$1"
