#include "bridge/payload/Wrapper.h"

#include <utility>

#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

// The log goes through a pipe: `echo x >/dev/stderr` in a script would cut off a file.
// Waiting reads from a FIFO that nobody writes to: it costs no process per second and job.
constexpr std::string_view kPrologue =
    R"gb(gb_grace=30        # seconds between SIGTERM and SIGKILL of a stage
gb_term_delay=20   # 25 ms each that a signal may need to reach the wrapper after a stage
gb_term_grace=5    # the same once the batch system wants us gone
gb_term_budget=20  # seconds for after_script and files once the batch system wants us gone
gb_retry_wait=5    # seconds before the second attempt; doubles
gb_most_slots=1000 # folders of one project in builds_dir
gb_late=job_timeout
printf -v gb_end '%(%s)T' -1
[ "$gb_wall_time" = 0 ] || [ $((gb_end + gb_wall_time)) -ge "$gb_deadline" ] || {
  gb_deadline=$((gb_end + gb_wall_time)) gb_late=wall_timeout
}
gb_folder=${0%/in/job.sh}
gb_in=$gb_folder/in gb_out=$gb_folder/out
gb_outcome=system gb_why= gb_stage=prepare_script gb_code= gb_root= gb_log= gb_is_done= gb_limit=
gb_slot= gb_enter=()
cd /
umask 077
exec </dev/null >>"$gb_out/log" 2>/dev/null
unset BASH_ENV ENV CDPATH X509_USER_PROXY X509_USER_CERT X509_USER_KEY KRB5CCNAME \
  BEARER_TOKEN BEARER_TOKEN_FILE _CONDOR_CREDS SLURM_JWT DIRACX_CREDENTIALS_PATH

gb_warn() { printf '\033[0;33mWARNING: %s\033[0;m\n' "$1"; }
gb_section() {
  [ "$gb_sections" = 1 ] || return 0
  printf 'section_start:%(%s)T:%s\r\033[0K\033[0K\033[36;1m%s\033[0;m\033[0;m\n' -1 "$1" "$2"
}
gb_section_end() {
  [ "$gb_sections" = 1 ] || return 0
  printf 'section_end:%(%s)T:%s\r\033[0K' -1 "$1"
}
gb_pause() {
  local gb_void
  IFS= read -r -t "$1" -u 9 gb_void
  [ $? -gt 128 ] || sleep 1
}
# The log's reader. A disk that is full costs what it cannot take, and `whole`, but no script its
# output: without a reader that would be ended by SIGPIPE.
gb_keep_log() {
  set +m
  trap '' TERM INT HUP USR1
  exec <"$GB_CTL/log" 9<&-
  until cat; do rm -f -- "$GB_CTL/whole"; done
}
# Ends the log's pipe; what a stray process still prints into it is lost.
gb_close_log() {
  local n
  [ -n "$gb_log" ] || return 0
  exec >/dev/null
  for ((n = 0; n < 400; n++)); do
    kill -0 "$gb_log" || return 0
    gb_pause 0.005
  done
  kill -KILL -- "-$gb_log"
  wait "$gb_log"
}
gb_clear() {
  [ -n "$gb_root" ] || return
  rm -rf -- "$gb_root" || { chmod -R u+rwX -- "$gb_root"; rm -rf -- "$gb_root"; }
  [ -z "$gb_slot" ] || gb_empty "$gb_slot"
  gb_root=
}
# gb_status TEXT: a pipe that the job left in the way would be waited at for ever.
gb_status() {
  rm -rf -- "$gb_out/status.part" "$gb_out/status" && printf '%s' "$1" >"$gb_out/status.part" &&
    mv -f -- "$gb_out/status.part" "$gb_out/status"
}
gb_lost() {
  [ -f "$gb_out/log" ] &&
    gb_warn 'the disk of the folder of this job was full: a part of this log is lost' >>"$gb_out/log"
}
# gb_insist FILE COMMAND...: repeats it while there is no room to write FILE, until the job's deadline.
gb_insist() {
  local file=$1 now
  shift
  until "$@" || [ ! -f "$file" ]; do
    gb_clear
    printf -v now '%(%s)T' -1
    [ "$now" -lt "$gb_deadline" ] || return
    gb_pause 1
  done
}
gb_finish() {
  local text line name LC_ALL=C
  trap '' TERM INT HUP USR1
  [ "$gb_why$gb_limit" != terminated1 ] || gb_why=limit
  gb_close_log
  # Where the disk is full the job's own files go first: what is said of it needs room.
  [ -z "$gb_log" ] || [ -e "$GB_CTL/whole" ] || {
    gb_clear
    gb_insist "$gb_out/log" gb_lost
  }
  printf -v text 'version=1\nnonce=%s\noutcome=%s\nwhy=%s\nstage=%s\nexit_code=%s\nhost=%s\n' \
    "$gb_nonce" "$gb_outcome" "$gb_why" "$gb_stage" "$gb_code" "${HOSTNAME//[!A-Za-z0-9._-]/}"
  for name in "${gb_outputs[@]}"; do
    [ -f "$gb_out/$name" ] && text+="output.$name=$(($(wc -c <"$gb_out/$name")))"$'\n'
  done
  # A job may have put something else there that never ends.
  printf -v line 'log_bytes=%s\nended_at=%(%s)T\n' "$(($([ -f "$gb_out/log" ] && wc -c <"$gb_out/log")))" -1
  # Without gb_done it was a signal: nothing is known of the stage that ran.
  [ -z "$gb_is_done" ] || gb_insist "$gb_out/status.part" gb_status "$text$line"
  gb_clear
}
gb_done() { gb_is_done=1; exit 0; }
gb_unprepared() {
  printf '\033[31;1mERROR: prepare environment: %s\033[0;m\n' "$1"
  gb_done
}
trap gb_finish EXIT

gb_take_scratch
gb_take_builds
export GB_IN=$gb_in GB_OUT=$gb_out GB_CTL=$gb_root/ctl GB_HOME_DIR=$gb_root/home
export GB_BUILDS_DIR=$gb_builds GB_PROJECT_DIR=$gb_builds/$gb_slug
export GB_TMP_DIR=$GB_PROJECT_DIR.tmp GB_INSIDE_DIR=$GB_PROJECT_DIR GB_JOB_STATUS=running HOME=$GB_HOME_DIR
mkdir "$GB_CTL" "$GB_HOME_DIR" && mkfifo "$GB_CTL/log" "$GB_CTL/tick" &&
  (umask 022 && mkdir -p "$gb_place/$gb_slug" "$gb_place/$gb_slug.tmp") || gb_unprepared "$gb_root is not writable"
gb_find_home
: >"$GB_CTL/whole"
exec 9<>"$GB_CTL/tick"
set -m
(gb_keep_log) &
gb_log=$!
set +m
exec >"$GB_CTL/log"
gb_told() { gb_signal=1; [ -s "$GB_CTL/term" ] || printf '%(%s)T\n' -1 >"$GB_CTL/term"; }
trap gb_told TERM INT HUP
trap 'gb_limit=1; gb_told' USR1  # The batch system's time limit comes.
)gb";

constexpr std::string_view kRun = R"gb(
# gb_cause CANCELABLE END: sets gb_why when the stage must not go on; fails when it may.
gb_cause() {
  local now term=
  printf -v now '%(%s)T' -1
  [ -s "$GB_CTL/term" ] && read -r term <"$GB_CTL/term"
  if [ "$now" -ge "$gb_deadline" ]; then gb_why=$gb_late
  elif [ "$1" = 1 ] && [ -e "$gb_in/cancel" ]; then gb_why=canceled
  elif [ -n "$term" ] && { [ "$1" = 1 ] || [ "$now" -ge $((term + gb_term_budget)) ]; }; then
    gb_why=terminated
  elif [ "$2" -gt 0 ] && [ "$now" -ge "$2" ]; then gb_why=stage_timeout
  else return 1
  fi
}
# gb_watch PID CANCELABLE END: ends the process group when there is a cause.
gb_watch() {
  local n grace=$gb_grace
  until gb_cause "$2" "$3"; do
    gb_pause 1
    kill -0 "$1" || return
  done
  echo "$gb_why" >"$GB_CTL/why"
  [ "$gb_why" = terminated ] && grace=$gb_term_grace
  kill -TERM -- "-$1"
  for ((n = 0; n < grace; n++)); do
    kill -0 -- "-$1" || return
    gb_pause 1
  done
  kill -KILL -- "-$1"
}
# gb_wait PID: sets gb_rc; fails when nobody can know it. When a signal comes just as bash takes up
# the end of a child, bash drops that end (seen with 5.2), and would then wait for it for ever.
gb_wait() {
  while :; do
    gb_signal=
    wait "$1"
    gb_rc=$?
    [ -n "$gb_signal" ] || return 0
    kill -0 "$1" && continue
    [[ $'\n'$(jobs -rp)$'\n' != *$'\n'"$1"$'\n'* ]] || return 1
  done
}
# Whether a signal wants this job gone. It may reach the stage before it reaches this shell: so it is
# given some time before a failure is called the stage's own.
gb_is_ended() {
  local n
  for ((n = 0; n < gb_term_delay; n++)); do
    [ -s "$GB_CTL/term" ] && return
    gb_pause 0.025
  done
  return 1
}
# gb_start_here NAME: becomes the stage. gb_is_inside NAME: whether it is in a container; then
# gb_await_inside waits for its last words, gb_code_inside sets gb_rc to what it ended with there, and
# what follows its end is gb_ended's.
gb_start_here() {
  [ -z "$gb_into" ] || exec >"$gb_into"
  exec "${gb_enter[@]}" bash $gb_login "$gb_in/$1.sh" 2>&1 9<&-
}
gb_is_inside() { return 1; }
gb_await_inside() { :; }
gb_code_inside() { :; }
gb_ended() { :; }
# gb_stage_process NAME CANCELABLE END: runs the stage in a process group of its own; sets gb_rc
# and gb_why, and gb_unbegun when its shell never came to its first line. What it leaves behind is
# killed.
gb_login=--login gb_into=
gb_stage_process() {
  local pid watch rc n
  # Its first line empties this file: a full disk has room for that, and for one without data.
  rm -rf -- "$GB_CTL/unbegun"
  truncate -s 1 -- "$GB_CTL/unbegun"
  set -m
  (umask 022; ! gb_is_inside "$1" || gb_start_inside "$1"; gb_start_here "$1") &
  pid=$!
  (trap - EXIT; trap '' TERM INT HUP USR1; gb_watch "$pid" "$2" "$3") >/dev/null &
  watch=$!
  set +m
  gb_wait "$pid" || gb_why=terminated
  rc=$gb_rc
  gb_await_inside "$1" "$pid" "$watch"
  kill -KILL -- "-$watch"
  gb_wait "$watch"
  kill -KILL -- "-$pid"
  # A signal takes its time: what the stage left must not run beside the next one.
  for ((n = 0; n < 40; n++)); do
    kill -0 -- "-$pid" || break
    gb_pause 0.005
  done
  gb_rc=$rc gb_unbegun=
  gb_code_inside "$1"
  gb_is_inside "$1" || [ ! -f "$GB_CTL/unbegun" ] || [ ! -s "$GB_CTL/unbegun" ] || {
    gb_unbegun=1
    [ "$gb_rc" -ne 0 ] || gb_rc=1  # What did not run has not succeeded.
    [ -z "$gb_into" ] || tail -c 65536 -- "$gb_into"
  }
  if [ -s "$GB_CTL/why" ]; then
    read -r gb_why <"$GB_CTL/why"
    : >"$GB_CTL/why"
  elif [ "$2" = 1 ] && [ "$gb_rc" -ne 0 ] && gb_is_ended; then
    gb_why=terminated
  fi
  gb_ended "$1"
}
# gb_run NAME HEADER END CANCELABLE: sets gb_outcome, gb_why, gb_code, gb_rc, and gb_began when it
# ran at all. END is a time, 0 = none. After the job's own deadline nothing more happens.
gb_run() {
  gb_stage=$1 gb_why= gb_code= gb_rc=0 gb_began= gb_unbegun=
  if ! gb_cause "$4" "$3"; then
    gb_began=1
    [ -n "$2" ] && gb_section "$1" "$2"
    gb_stage_process "$1" "$4" "$3"
    [ -n "$2" ] && gb_section_end "$1"
    case $gb_why in *_timeout)
      [ -n "$2" ] && gb_warn "$1 could not run to completion because the timeout was exceeded. For more control over job and script timeouts see: https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts" ;;
    esac
  fi
  case $gb_why in
    canceled | terminated) gb_outcome=canceled ;;
    *_timeout) gb_outcome=timedout ;;
    *) if [ "$gb_rc" -eq 0 ]; then gb_outcome=success; else gb_outcome=failed gb_code=$gb_rc; fi ;;
  esac
  [ "$gb_why" != "$gb_late" ] || gb_done
}
# gb_run_step ARGUMENTS...: gb_run with what the site wants for the job's own lines.
gb_run_step() {
  HOME=$gb_home gb_login=$gb_step_login
  gb_run "$@"
  HOME=$GB_HOME_DIR gb_login=--login
}
# The profile of a node may end the shell, or put another program in its place. Once a script of the
# job has run that is a failure like any other.
gb_need_begun() {
  local why="the profile of this node, or the shell_init${gb_enter:+ or builds_dir} of its backend, ended the shell before the first line of "
  [ "$gb_outcome" = failed ] && [ -n "$gb_unbegun" ] || return 0
  echo  # Its last words may have no end of line.
  if [ -n "$gb_script_began" ]; then
    gb_warn "$gb_stage: ${why}this stage"
    return
  fi
  gb_stage=prepare_script gb_outcome=system gb_code=
  gb_unprepared "${why}the job"
}
gb_keep() { gb_kept=("$gb_outcome" "$gb_why" "$gb_stage" "$gb_code"); }
gb_restore() {
  gb_outcome=${gb_kept[0]} gb_why=${gb_kept[1]} gb_stage=${gb_kept[2]} gb_code=${gb_kept[3]}
}
# gb_end_of SECONDS: sets gb_end to the time so far away, 0 for 0.
gb_end_of() {
  printf -v gb_end '%(%s)T' -1
  gb_end=$(($1 > 0 ? gb_end + $1 : 0))
}
)gb";

// One function for each phase; the lines that call them follow, one for each stage. A local name
// hides what the node exports under it from the stages: so these begin with gb_ too.
constexpr std::string_view kPhases = R"gb(
gb_script_began= gb_script_end=

# gb_try: whether the shells of steps begin. Once the sources have been fetched it is too late to be
# believed that a node is not fit.
gb_try() {
  gb_into=$GB_CTL/said
  gb_run_step prepare_script '' 0 1
  gb_into=
  case $gb_outcome in canceled | timedout) gb_done ;; esac
  gb_need_begun
  gb_outcome=system
}
# gb_prepare ATTEMPTS NAME TITLE [REPAIR TITLE]...: without it there is no script.
gb_prepare() {
  local gb_attempts=$1 gb_name=$2 gb_title=$3 gb_try=1 gb_wait_for gb_n
  [ "$gb_outcome" != failed ] || return
  shift 3
  while
    gb_run "$gb_name" "$gb_title" 0 1
    [ "$gb_outcome" = failed ] && [ "$gb_try" -lt "$gb_attempts" ]
  do
    gb_warn 'Retrying...'
    gb_wait_for=$((gb_retry_wait << (gb_try - 1)))
    for ((gb_n = 0; gb_n < gb_wait_for && gb_n < 300; gb_n++)); do
      gb_cause 1 0 && break
      gb_pause 1
    done
    gb_try=$((gb_try + 1))
    for ((gb_n = 1; gb_n < $#; gb_n += 2)); do
      gb_run "${@:gb_n:2}" 0 1
    done
  done
  gb_need_begun
  case $gb_outcome in canceled | timedout) gb_done ;; esac
}
# gb_script NAME TITLE: after what prepares it, and the scripts before it, went well.
gb_script() {
  [ "$gb_outcome" = success ] || return
  [ -n "$gb_script_end" ] || { gb_end_of "$gb_script_limit"; gb_script_end=$gb_end; }
  gb_run_step "$1" "$2" "$gb_script_end" 1
  gb_need_begun
  gb_script_began=${gb_script_began:-$gb_began}
  [ "$gb_why" != canceled ] || gb_warn 'script canceled externally'
  [ -n "$gb_script_began" ] || case $gb_outcome in canceled | timedout) gb_done ;; esac
}
# gb_after NAME TITLE: once a script began.
gb_after() {
  local gb_reason
  [ -n "$gb_script_began" ] || return
  gb_keep
  GB_JOB_STATUS=$gb_outcome
  gb_end_of "$gb_after_limit"
  gb_run_step "$1" "$2" "$gb_end" 0
  if [ "$gb_outcome" = success ]; then
    gb_restore
  elif [ "$gb_soft_after" = 1 ]; then
    case $gb_why in
      stage_timeout) gb_reason='context deadline exceeded' ;;
      terminated) gb_reason=terminated ;;
      *) gb_reason="exit status $gb_rc" ;;
    esac
    gb_warn "after_script failed, but job will continue unaffected: $gb_reason"
    gb_restore
  elif [ "${gb_kept[0]}" != success ]; then
    gb_restore
  fi
}
# gb_save NAME TITLE ON_SUCCESS ON_FAILURE WHY: wanted when ON_... is 1; WHY is that of its failure.
gb_save() {
  local gb_wanted=$4 gb_script_began=1  # The node has been believed to be fit.
  [ "$gb_outcome" != success ] || gb_wanted=$3
  [ "$gb_wanted" = 1 ] || return
  gb_keep
  GB_JOB_STATUS=$gb_outcome
  gb_run "$1" "$2" 0 0
  gb_need_begun
  if [ "$gb_why" != terminated ] || [ "${gb_kept[0]}" != success ]; then
    [ "$gb_outcome" = success ] || gb_kept[1]=${gb_kept[1]:-$5}
    gb_restore
  fi
}

gb_section prepare_script 'Preparing environment'
printf 'Running on %s via %s...\n' "$HOSTNAME" "$gb_via"
[ -z "$gb_image" ] || printf 'Using container image %s\n' "$gb_image"
gb_section_end prepare_script

)gb";

std::string constant(std::string_view name, std::string_view value) {
    return std::string(name) + "=" + shellQuoted(value) + "\n";
}

std::string constant(std::string_view name, long long value) {
    return std::string(name) + "=" + std::to_string(value) + "\n";
}

std::string list(std::string_view name, const std::vector<std::string>& values) {
    std::string text = std::string(name) + "=(";
    for (const auto& value : values) {
        text += shellQuoted(value) + " ";
    }
    return text + ")\n";
}

/// The line that runs the stage.
std::string call(const Stage& stage) {
    const auto name = " " + shellQuoted(stage.name) + " " + shellQuoted(stage.title);
    const auto digit = [](bool wanted) { return std::string(wanted ? " 1" : " 0"); };
    switch (stage.phase) {
        case Stage::Phase::Prepare: {
            auto text = "gb_prepare " + std::to_string(stage.attempts) + name;
            for (const auto& repair : stage.repairs) {
                text += " " + shellQuoted(repair.name) + " " + shellQuoted(repair.title);
            }
            return text + "\n";
        }
        case Stage::Phase::Script:
            return "gb_script" + name + "\n";
        case Stage::Phase::After:
            return "gb_after" + name + "\n";
        case Stage::Phase::Save:
            break;
    }
    return "gb_save" + name + digit(stage.onSuccess) + digit(stage.onFailure) + " " +
           shellQuoted(stage.why) + "\n";
}

}  // namespace

std::string wrapperScript(const WrapperPlan& plan, const Settings& settings,
                          const ScriptContext& context) {
    // Rounded up: the node must not end a job early.
    const auto deadline = std::chrono::ceil<std::chrono::seconds>(sinceEpoch(context.deadline));
    std::string text = "#!/bin/bash\n# Written by gridbridge: runs the stages of one job.\n";
    text += constant("gb_nonce", context.nonce);
    text += constant("gb_slug", plan.slug);
    text += constant("gb_via", oneLine(context.bridgeHost));
    text += constant("gb_deadline", deadline.count());
    text += constant("gb_wall_time", context.wallTime.count());
    text += constant("gb_script_limit", settings.scriptTimeout.count());
    text += constant("gb_after_limit", settings.afterScriptTimeout.count());
    text += constant("gb_soft_after", settings.afterScriptIgnoresErrors ? 1 : 0);
    text += list("gb_outputs", plan.outputs);
    text += constant("gb_sections", plan.sections ? 1 : 0);
    text += siteConstants(plan.site, plan.project);
    text += siteFunctions();
    text += constant("gb_image", plan.container.image);
    text += kPrologue;
    text += kRun;
    text += plan.container.functions;
    text += kPhases;
    text += hasOwnBeginning(plan.site) ? "gb_try\n" : "";
    for (const auto& stage : plan.stages) {
        text += call(stage);
    }
    return text + "gb_done\n";
}

std::string loaderScript() {
    // The here-document keeps any byte of the folder's name from being read as shell. A dot is the
    // folder in which a batch system that copies the job's files begins it.
    return R"gb(#!/bin/bash
# gridbridge: takes the start marker, then runs the job. Exit 71: another copy has it.
IFS= read -r gb_folder <<'gb-end-of-folder'
@FOLDER@
gb-end-of-folder
[ "$gb_folder" != . ] || gb_folder=$PWD
set -C
{ printf '' >"$gb_folder/out/started"; } 2>/dev/null || exit 71
set +C
unset BASH_ENV ENV
exec bash --noprofile --norc "$gb_folder/in/job.sh"
)gb";
}

}  // namespace gridbridge::payload
