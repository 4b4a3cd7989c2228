#!/bin/sh
# The batch system of the worked example in docs/backend-contract.md: two slots, all in the folder `jobs` beside this file.
#   exampleq submit NAME SCRIPT      prints the job's number
#   exampleq queue                   NUMBER NAME STATE EXIT SUBMITTED of every job there ever was, and how many these are
#   exampleq cancel [--waiting] NUMBER
set -eu
jobs=$(dirname "$0")/jobs
mkdir -p "$jobs"

# What a file of one line says; the second argument where it is not there.
said() {
    word=$2
    [ ! -e "$1" ] || read -r word <"$1" || word=$2
}

state_of() {
    if [ -e "$1/exit" ]; then
        state=ENDED
        [ ! -e "$1/cancelled" ] || state=CANCELLED
    elif [ -e "$1/pid" ]; then
        state=RUNNING
    else
        state=WAITING
    fi
}

case $1 in
submit)
    [ -r "$3" ] || { echo "exampleq: refused: there is no script $3" >&2; exit 2; }
    number=1
    until mkdir "$jobs/$number" 2>/dev/null; do number=$((number + 1)); done
    job=$jobs/$number
    cp "$3" "$job/script"
    date +%s >"$job/submitted"
    setsid "$0" keep "$number" </dev/null >/dev/null 2>&1 &
    # Whoever called this may end all that is left of its process group.
    until [ -e "$job/kept" ]; do sleep 0.01; done
    echo "$2" >"$job/name.part"
    mv "$job/name.part" "$job/name"
    echo "$number"
    ;;
keep)
    job=$jobs/$2
    : >"$job/kept"
    until slot=$jobs/slot1 && mkdir "$slot" 2>/dev/null || { slot=$jobs/slot2 && mkdir "$slot" 2>/dev/null; }; do
        [ -e "$job/kept" ] && [ ! -e "$job/begun" ] || exit 0
        sleep 0.02
    done
    # Either the job begins or it is cancelled before: the folder can be made once.
    if mkdir "$job/begun" 2>/dev/null; then
        setsid sh "$job/script" &
        echo $! >"$job/pid"
        code=0
        wait $! || code=$?
        echo "$code" >"$job/exit.part"
        mv "$job/exit.part" "$job/exit"
    fi
    rmdir "$slot"
    ;;
queue)
    total=0
    for name in "$jobs"/*/name; do
        [ -e "$name" ] || continue
        job=${name%/name}
        state_of "$job"
        said "$job/exit" 0
        code=$word
        said "$job/submitted" 0
        submitted=$word
        said "$name" ''
        echo "${job##*/} $word $state $code $submitted"
        total=$((total + 1))
    done
    echo "total $total"
    ;;
cancel)
    shift
    only=
    [ "$1" != --waiting ] || { only=waiting; shift; }
    job=$jobs/$1
    [ -e "$job/name" ] || { echo "exampleq: there is no job $1" >&2; exit 2; }
    if mkdir "$job/begun" 2>/dev/null; then
        : >"$job/cancelled"
        echo 0 >"$job/exit.part"
        mv "$job/exit.part" "$job/exit"
    elif [ -z "$only" ] && [ ! -e "$job/exit" ]; then
        : >"$job/cancelled"
        until [ -e "$job/exit" ]; do
            # Of a job that has only just begun it is not there yet.
            said "$job/pid" ''
            [ -z "$word" ] || kill -s KILL -- "-$word" 2>/dev/null || true
            sleep 0.02
        done
    fi
    ;;
esac
