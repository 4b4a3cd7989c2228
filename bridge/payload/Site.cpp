#include "bridge/payload/Site.h"

#include <string_view>

#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

// After `--` no chmod takes a mode for a file, POSIXLY_CORRECT or not.
constexpr std::string_view kFunctions = R"gb(
# gb_need_own FOLDER WHAT: others could put a folder of their own in the place of one that is made in it.
# In a namespace of users root may have another number: that of the owner of /proc/sys.
gb_need_own() {
  [ -n "$(find -L "$1" -maxdepth 0 \( -user "$(id -u)" -o -user 0 -o -user "$(stat -c %u /proc/sys)" \))" ] ||
    gb_unprepared "the $2 of this backend belongs neither to root nor to the account of this job"
  [ -n "$(find -L "$1" -maxdepth 0 \( ! -perm /022 -o -perm -1000 \))" ] ||
    gb_unprepared "other accounts may write into the $2 of this backend, and it has no sticky bit (chmod +t)"
}
gb_need_room() {
  local line free
  [ "$gb_min_scratch" -gt 0 ] || return 0
  line=$(df -Pk -- "$1" | tail -n 1)
  [[ $line =~ \ ([0-9]+)\ +[0-9]+%\ +/ ]] ||
    gb_unprepared "nobody can say how much room there is in $1"
  free=${BASH_REMATCH[1]}
  [ "$free" -ge "$gb_min_scratch" ] ||
    gb_unprepared "only $((free / 1024)) MiB are free in $1, and min_scratch asks for $((gb_min_scratch / 1024)) MiB"
}
# gb_take_scratch: makes gb_root in the scratch folder.
gb_take_scratch() {
  [ -z "$gb_scratch_key" ] || [[ $gb_scratch = /* && -d $gb_scratch ]] ||
    gb_unprepared "the scratch folder $gb_scratch_key of this backend is not there on this node"
  [ -z "$gb_scratch_key" ] || gb_need_own "$gb_scratch" "scratch folder $gb_scratch_key"
  gb_need_room "$gb_scratch"
  [[ -z $gb_image || $gb_scratch$gb_in != *[:,]* ]] ||
    gb_unprepared "no container can have the files of a job in $gb_scratch and $gb_in: runtimes take : and , for options"
  gb_root=$(mktemp -d "$gb_scratch/gb.XXXXXXXX") &&
    # As $PWD will say it: with a slash too much it would be another path.
    gb_root=$(cd -- "$gb_root" && pwd) || gb_unprepared "no folder can be made in $gb_scratch"
}
# gb_take_builds: sets gb_builds, what the stages call the folder of builds, gb_place, what this shell
# calls it, and gb_enter, the words that lead a stage to where they are one.
gb_take_builds() {
  local bind way folder real home=
  gb_place=$gb_root/builds gb_builds=$gb_place
  mkdir -m 755 -- "$gb_place" || gb_unprepared "$gb_root is not writable"
  [ -n "$gb_builds_dir" ] || return 0
  [ -d "$gb_builds_dir" ] ||
    gb_unprepared "the builds_dir $gb_builds_dir of this backend is not there on this node"
  real=$(cd -- "$gb_builds_dir" && pwd -P)
  [ "$gb_home" != real ] || home=$(unset HOME; printf %s ~)
  for folder in "$gb_folder" "$gb_root" ${home:+"$home"}; do
    [[ $(cd -- "$folder" && pwd -P)/ != "${real%/}"/* ]] ||
      gb_unprepared "the builds_dir $gb_builds_dir of this backend would hide the files of this job in $folder"
  done
  # What the node mounts later, as autofs does, appears there too; what is mounted there does not leave it.
  bind='mount --bind -- "$1" "$2" && shift 2 && exec "$@"'
  for way in '' '--user --map-current-user --keep-caps'; do
    gb_enter=(unshare --mount --propagation slave $way -- bash -c "$bind" bash "$gb_place" "$gb_builds_dir")
    # The right to mount must not become the job's.
    [ -z "$way" ] || gb_enter+=(setpriv --inh-caps=-all --ambient-caps=-all --)
    if "${gb_enter[@]}" test "$gb_place" -ef "$gb_builds_dir"; then
      gb_builds=$gb_builds_dir
      return
    fi
  done
  gb_enter=()
  gb_take_slot
}
# gb_take_slot: where nothing may be mounted, the first folder of this project that no job on this node
# has. The lock ends with the last process that has inherited and not closed it, or with one that unlocks
# it: who means ill can still write into the folder of a later job of the account.
gb_take_slot() {
  local n why='none of the folders of this project is free'
  [ -w "$gb_builds_dir" ] ||
    gb_unprepared "this node allows no mount namespace, and the account of this job must not write into the builds_dir $gb_builds_dir of this backend (chmod 1777)"
  # Names and locks must be those of this node alone.
  case $(stat -f -c %T -- "$gb_builds_dir") in
    nfs* | lustre | gpfs | fhgfs | beegfs | ceph | fuse* | smb* | cifs | afs | k-afs | gfs* | ocfs2 | panfs)
      gb_unprepared "this node allows no mount namespace, and the builds_dir $gb_builds_dir of this backend must then be on a disk of the node's own"
      ;;
  esac
  gb_need_own "$gb_builds_dir" "builds_dir $gb_builds_dir"
  gb_need_room "$gb_builds_dir"
  for ((n = 0; n < gb_most_slots; n++)); do
    gb_builds=$gb_builds_dir/$gb_project.$n
    mkdir -m 700 -- "$gb_builds" || [ -e "$gb_builds" ] || [ -L "$gb_builds" ] || {
      why='no folder can be made'
      break
    }
    [ ! -L "$gb_builds" ] && [ -d "$gb_builds" ] && [ -O "$gb_builds" ] &&
      chmod -- 700 "$gb_builds" || continue
    exec 8<"$gb_builds" && flock -n 8
    case $? in
      0) ;;
      1) continue ;;
      *) why='no folder can be locked'; break ;;
    esac
    ! gb_is_entered "$gb_builds" && gb_empty "$gb_builds" timeout 60 || continue
    gb_place=$gb_builds gb_slot=$gb_builds
    return
  done
  gb_unprepared "$why in the builds_dir $gb_builds_dir of this backend"
}
# gb_is_entered FOLDER: whether a process of this account is in it.
gb_is_entered() {
  local real
  real=$(cd -- "$1" && pwd -P)
  [ -n "$(find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$real" -o -lname "$real/*" \) -print -quit)" ]
}
# gb_empty FOLDER WORDS...: WORDS go before the command.
gb_empty() {
  "${@:2}" bash -c 'find "$1" -xdev -mindepth 1 -delete || {
    find "$1" -xdev -type d -exec chmod u+rwx -- {} \;
    find "$1" -xdev -mindepth 1 -delete
  }' bash "$1"
}
# gb_find_home: sets gb_home, of steps, and gb_step_login, how their shells are started.
gb_find_home() {
  gb_step_login=
  case $gb_home in
    real)
      gb_home=$(unset HOME; printf %s ~)
      [ "$gb_home" != / ] && [ -d "$gb_home" ] ||
        gb_unprepared 'the account of this job has no home on this node'
      ;;
    project)
      gb_home=${gb_folder%/*}/homes/$gb_project
      mkdir -p -- "$gb_home" && [ -O "${gb_home%/*}" ] && [ ! -L "$gb_home" ] && [ -O "$gb_home" ] &&
        chmod -- 700 "$gb_home" ||
        gb_unprepared "the home of the project, $gb_home, cannot be made"
      ;;
    *) gb_home=$GB_HOME_DIR gb_step_login=--login ;;
  esac
}
)gb";

// What a login shell reads, but not by --login: such a shell also takes the home's logout file at a
// script's `exit`, and with it the exit code of that file. Files for all shells ask what it is.
// `command`: else a mistake in one of them would end the shell where it is that of POSIX.
constexpr std::string_view kProfile =
    R"gb(shopt() { [ "$*" = '-q login_shell' ] || builtin shopt "$@"; }
[ ! -r /etc/profile ] || command . /etc/profile
if [ -r ~/.bash_profile ]; then command . ~/.bash_profile
elif [ -r ~/.bash_login ]; then command . ~/.bash_login
elif [ -r ~/.profile ]; then command . ~/.profile
fi
unset -f shopt
)gb";

std::string_view nameOf(Site::Home home) {
    switch (home) {
        case Site::Home::Private:
            return "private";
        case Site::Home::Real:
            return "real";
        case Site::Home::Project:
            break;
    }
    return "project";
}

std::string scratchOf(const std::string& scratch) {
    if (scratch.empty()) {
        return "${_CONDOR_SCRATCH_DIR:-${SLURM_TMPDIR:-${TMPDIR:-$PWD}}}";
    }
    return scratch.starts_with('$') ? "${" + scratch.substr(1) + "-}" : shellQuoted(scratch);
}

}  // namespace

std::string stageBeginning(const Site& site, bool isStep) {
    std::string text;
    if (isStep && site.home != Site::Home::Private) {
        text += kProfile;
    }
    if (isStep && !site.shellInit.empty()) {
        text += "command . \"$GB_IN/shell_init.sh\"\n";
    }
    // What they left on would show the job's variables as they are set.
    return text + "{ set +xv; } 2>/dev/null\n: >|\"$GB_CTL/unbegun\"\n";
}

bool hasOwnBeginning(const Site& site) {
    return !site.shellInit.empty() || site.home != Site::Home::Private;
}

std::string siteConstants(const Site& site, const std::string& project) {
    constexpr std::uint64_t kKib = 1024;
    return "gb_scratch=" + scratchOf(site.scratch) +
           "\ngb_scratch_key=" + shellQuoted(site.scratch) +
           "\ngb_min_scratch=" + std::to_string((site.minScratch + kKib - 1) / kKib) +
           "  # KiB\ngb_builds_dir=" + shellQuoted(site.buildsDir) +
           "\ngb_home=" + std::string(nameOf(site.home)) + "\ngb_project=" + shellQuoted(project) +
           "\n";
}

std::string siteFunctions() {
    return std::string(kFunctions);
}

}  // namespace gridbridge::payload
