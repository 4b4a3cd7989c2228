#include "bridge/payload/CacheStage.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "bridge/payload/Expansion.h"
#include "bridge/payload/Selection.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/StageText.h"

namespace gridbridge::payload {

namespace {

// Whoever can write in `cache_dir` may have made what is there: only folders of this account's own
// are entered. What is in these, jobs of this account may have made.
constexpr std::string_view kPlace = R"gb(
gb_notice() { printf '\033[32;1m%s\033[0;m\n' "$1"; }
gb_warn() { printf '\033[0;33m%s\033[0;m\n' "$1"; }
# gb_enter FOLDER MAKING: sets gb_archive to the tarball there; MAKING = 1 makes missing folders.
gb_enter() {
  local gb_at=$gb_store gb_part gb_me
  gb_me=$(id -un)
  [ -z "$gb_account" ] || [ "$gb_me" = "$gb_account" ] || {
    gb_tell "WARNING: jobs run as $gb_me here, not as $gb_account"
    return 1
  }
  [ -d "$gb_at" ] || { gb_tell "WARNING: there is no folder $gb_at on this node"; return 1; }
  for gb_part in ${gb_account:+"$gb_account"} "$gb_project" "$1"; do
    gb_at+=/$gb_part
    [ "$2" = 0 ] || [ -d "$gb_at" ] || mkdir -m 700 -- "$gb_at" 2>/dev/null || [ -d "$gb_at" ] || {
      gb_tell "WARNING: $gb_at cannot be made"
      return 1
    }
    [ -e "$gb_at" ] || [ -L "$gb_at" ] || { gb_tell 'WARNING: Cache file does not exist'; return 1; }
    [ -d "$gb_at" ] && [ ! -L "$gb_at" ] && [ -O "$gb_at" ] || {
      gb_tell "WARNING: $gb_at is no folder of the account of this job"
      return 1
    }
  done
  gb_archive=$gb_at/cache.tar.gz
}
gb_is_archive() { [ -f "$gb_archive" ] && [ ! -L "$gb_archive" ]; }
)gb";

// A tarball by hand may hold anything in any order. In an empty folder of its own tar writes
// nothing outside; and what is packed from there again has each folder before what is in it.
constexpr std::string_view kRestore = R"gb(
gb_links=$(mktemp "$GB_CTL/links.XXXXXXXX") || exit 1
find "$GB_PROJECT_DIR" -mindepth 1 -type l -printf './%P\0' >"$gb_links"
# gb_leave NAME WHAT
gb_leave() {
  gb_tell "WARNING: ${1#./} of the cache is left out: the project has a $2 there"
  rm -rf -- "$1"
}
# gb_yield FOLDER: takes out what would need a folder in the place of a link of the sources, or has
# something else in the place of a folder. tar would replace the link, and fails on the folder.
gb_yield() (
  set -eo pipefail
  cd -- "$1"
  find "$GB_PROJECT_DIR" -mindepth 1 -type d -printf './%P\0' | while IFS= read -r -d '' gb_name; do
    gb_is_behind "$gb_name" || [ ! -e "$gb_name" -a ! -L "$gb_name" ] ||
      [ -d "$gb_name" -a ! -L "$gb_name" ] || gb_leave "$gb_name" folder
  done
  while IFS= read -r -d '' gb_name; do
    gb_is_behind "$gb_name" || [ ! -d "$gb_name" ] || [ -L "$gb_name" ] ||
      [ ! -L "$GB_PROJECT_DIR/$gb_name" ] || gb_leave "$gb_name" link
  done <"$gb_links"
)
# gb_fits FOLDER: whether all of it can be read, and the project folder has room for it.
gb_fits() {
  local gb_needed gb_free
  [ -z "$(find "$1" \( -type f ! -readable -o -type d \( ! -readable -o ! -executable \) \) \
    -print -quit)" ] || return
  gb_needed=$({ du -skl -- "$1"; du -skl --apparent-size -- "$1"; } | sort -rn | head -n 1 | cut -f 1)
  gb_free=$(df -k --output=avail -- "$GB_PROJECT_DIR" | tail -n 1)
  [ -z "$gb_free" ] || [ "$gb_needed" -le "$gb_free" ] || {
    gb_tell "WARNING: it needs $gb_needed KiB, and there are $((gb_free)) left"
    return 1
  }
}
gb_place() (
  set -o pipefail
  cd -- "$1" || exit
  find . -mindepth 1 \( -type f -o -type d -o -type l \) -print0 |
    tar --format=gnu --hard-dereference --null --no-recursion -T - -cf - |
    gb_unpack -xf - --warning=no-timestamp
)
# 8 = what was read cannot be placed, 9 = a part of it has been. All else: it cannot be read.
gb_extract() (
  set -o pipefail
  gb_fresh=$(mktemp -d "$GB_CTL/cache.XXXXXXXX") || exit 8
  {
    "${gb_timed[@]}" tar -xzf - -C "$gb_fresh" -p --no-same-owner --delay-directory-restore \
      --warning=no-timestamp || exit
    gb_yield "$gb_fresh" && gb_fits "$gb_fresh" || exit 8
    gb_place "$gb_fresh" || exit 9
  } 2>&1 | sed -n 1,20p
  gb_rc=$?
  rm -rf -- "$gb_fresh" 2>/dev/null || { chmod -R u+rwX -- "$gb_fresh"; rm -rf -- "$gb_fresh"; }
  exit "$gb_rc"
)
# gb_fetch KEY FOLDER
gb_fetch() {
  local gb_try
  gb_notice "Checking cache for $1..."
  if gb_enter "$2" 0; then
    if ! gb_is_archive; then
      gb_tell 'WARNING: Cache file does not exist'
    else
      touch -ac -- "$gb_archive"
      for ((gb_try = 1; gb_try <= gb_attempts; gb_try++)); do
        [ "$gb_try" = 1 ] || gb_tell 'WARNING: Retrying...'
        gb_extract <"$gb_archive"
        case $? in
          0) gb_notice 'Successfully extracted cache'; return ;;
          8 | 124 | 137) break ;;
          9) gb_give_up ;;
        esac
      done
    fi
  fi
  gb_warn 'Failed to extract cache'
  return 1
}
)gb";

constexpr std::string_view kSave = R"gb(
gb_saved=
# Whether a file of the list is newer than the tarball.
gb_is_older() {
  [ -n "$(xargs -0 sh -c 'find "$@" -maxdepth 0 -newer "$0" -print -quit' "$gb_archive" \
    <"$gb_tmp/list" | tr -d '\0')" ]
}
# gb_keep FOLDER: the list, as the cache there. 3 = it is empty, 4 = the cache there will do.
# For a shell of its own.
gb_keep() {
  [ -s "$gb_tmp/list" ] || { gb_tell 'No files to cache.'; exit 3; }
  umask 077
  gb_enter "$1" 1
  if gb_is_archive && ! gb_is_older; then
    touch -ac -- "$gb_archive"
    gb_tell 'Archive is up to date!'
    exit 4
  fi
  gb_new=$(mktemp "${gb_archive%/*}/.XXXXXXXX.part")
  trap 'rm -f -- "$gb_new"' EXIT
  trap 'exit 1' TERM
  gb_tar "$gb_new" "$gb_kib" 2>&1 | sed -n 1,20p
  # What changes while it is packed is newer.
  touch -r "$gb_tmp/began" -- "$gb_new"
  touch -ac -- "$gb_new"
  [ -L "$gb_archive" ] || [ ! -d "$gb_archive" ] || rm -rf -- "$gb_archive"
  mv -fT -- "$gb_new" "$gb_archive"
}
# Saves by gb_saving and says what came of it.
gb_save() {
  local gb_rc
  gb_saving
  gb_rc=$?
  case $gb_rc in
    0 | 3 | 4) ;;
    # Perhaps for want of room.
    *) [ -z "$(gb_sweep 2>/dev/null)" ] || { gb_saving; gb_rc=$?; } ;;
  esac
  case $gb_rc in
    0) gb_saved=1; gb_notice 'Created cache' ;;
    3) ;;
    4) gb_notice 'Created cache' ;;
    *) gb_warn 'Failed to create cache' ;;
  esac
}
# Removes what was used last longest ago, and what no one uses any more, and prints something for
# each. Names are those that this program gives; what else there may be is left alone.
gb_sweep() {
  local gb_from=$gb_store${gb_account:+/$gb_account} gb_at gb_size gb_name gb_sum=0 gb_least
  local gb_ours='.*/[0-9]+/[0-9a-f]{64}' gb_me
  [ -z "$gb_account" ] || { [ -O "$gb_from" ] && [ ! -L "$gb_from" ]; } || return
  gb_from+=/.
  gb_me=$(id -u)
  printf -v gb_least '%(%s)T' -1
  gb_least=$((gb_least - gb_age))
  find "$gb_from" -mindepth 3 -maxdepth 3 -type f -user "$gb_me" -regextype posix-extended \
    -regex "$gb_ours/cache\.tar\.gz" -printf '%A@ %s %P\n' | sort -rn |
    while read -r gb_at gb_size gb_name; do
      gb_sum=$((gb_sum + gb_size))
      [ "${gb_at%%.*}" -ge "$gb_least" ] && [ "$gb_sum" -le "$gb_limit" ] ||
        { rm -f -- "$gb_from/$gb_name" && echo "$gb_name"; }
    done
  find "$gb_from" -mindepth 3 -maxdepth 3 -type f -user "$gb_me" -regextype posix-extended \
    -regex "$gb_ours/\.[^/]{8}\.part" -mmin +1440 -print -delete
  find "$gb_from" -mindepth 2 -maxdepth 2 -type d -user "$gb_me" -regextype posix-extended \
    -regex "$gb_ours" -empty -mmin +1440 -print -delete
}
)gb";

std::string constants(const CacheStore& store, std::int64_t project, const Settings& settings) {
    constexpr std::uint64_t kKib = 1024;
    return "gb_store=" + shellQuoted(store.folder) + "\ngb_account=" + shellQuoted(store.account) +
           "\ngb_project=" + std::to_string(project) + "\ngb_limit=" + std::to_string(store.limit) +
           "\ngb_kib=" + std::to_string(std::max(store.limit / kKib, std::uint64_t{1})) +
           "\ngb_age=" + std::to_string(store.age.count()) +
           "\ngb_attempts=" + std::to_string(settings.restoreCacheAttempts) +
           "\ngb_timed=(timeout --foreground -k 10 " +
           std::to_string(std::chrono::seconds(settings.cacheTimeout).count()) + ")\n";
}

std::string restoring(const PlannedCache& cache) {
    const auto& plan = cache.plan;
    if (!plan.unknownPolicy.empty()) {
        return failing("unknown cache policy: " + oneLine(plan.unknownPolicy));
    }
    if (!plan.pull) {
        return printGreen("Not downloading cache " + oneLine(plan.keys.front()) + " due to policy");
    }
    std::string text;
    for (const auto& key : plan.keys) {
        text += "gb_fetch " + shellQuoted(oneLine(key)) + " " + cacheFolderName(key) + " ||\n  ";
    }
    return text + ":\n";
}

/// In a shell of its own, so that its failure loses no other one.
std::string saving(const PlannedCache& cache) {
    const auto& key = cache.plan.keys.front();
    if (!cache.plan.push) {
        return cache.plan.unknownPolicy.empty()
                   ? printGreen("Not uploading cache " + oneLine(key) + " due to policy")
                   : "";
    }
    auto text = printGreen("Creating cache " + oneLine(key) + "...");
    for (const auto& path : cache.files.paths) {
        text += path.problem.empty() ? "" : "gb_tell " + shellQuoted(path.problem) + "\n";
    }
    return text + "gb_saving() (\nset -eo pipefail\n: >\"$gb_tmp/began\"\n" +
           selection(cache.entry, cache.files, Listing::Exact) + "gb_keep " + cacheFolderName(key) +
           "\n)\ngb_save\n";
}

bool isWanted(const PlannedCache& cache, bool success) {
    return cache.when == "always" || (cache.when == "on_failure") != success;
}

/// Without what the node could not match exactly: nobody looks at the names again. Nothing when
/// the expressions are too long together.
std::optional<ArtifactPlan> exactPlan(const gitlab::JobDescription& job,
                                      const gitlab::ArtifactEntry& entry) {
    auto made = planArtifact(job, entry);
    if (!made) {
        return std::nullopt;
    }
    auto plan = std::move(made).value();
    std::size_t length = 0;
    for (std::size_t i = 0; i < plan.paths.size(); ++i) {
        auto& path = plan.paths[i];
        if (hasReference(entry.paths[i])) {
            path.problem.clear();  // The node tells it.
        } else if (path.glob && !path.glob->path()) {
            length += path.glob->exactExpression().size();
            if (path.glob->exactExpression().empty()) {
                path.problem = "WARNING: " + path.shown + ": no pattern for a cache, skipping";
                path.glob.reset();
            }
        }
    }
    return length <= kLargestPlan ? std::optional(std::move(plan)) : std::nullopt;
}

}  // namespace

std::vector<PlannedCache> planCaches(const gitlab::JobDescription& job, const Variables& variables,
                                     std::vector<std::string>& warnings) {
    constexpr std::size_t kMostCaches = 4;  // As GitLab has it.
    std::vector<PlannedCache> caches;
    if (job.cache.size() > kMostCaches) {
        warnings.push_back("more than " + std::to_string(kMostCaches) +
                           " caches, skipping the others");
    }
    for (std::size_t i = 0; i < std::min(job.cache.size(), kMostCaches); ++i) {
        const auto& entry = job.cache[i];
        auto plan = planCache(job, entry, variables, warnings);
        if (!plan) {
            continue;
        }
        gitlab::ArtifactEntry files;
        files.paths = entry.paths;
        files.untracked = entry.untracked;
        auto made = exactPlan(job, files);
        if (!made) {
            warnings.emplace_back("the paths of a cache are too long, skipping");
            continue;
        }
        caches.push_back({std::move(*plan), entry.when, std::move(files), *std::move(made)});
    }
    return caches;
}

Stage restoreCacheStage(const std::vector<PlannedCache>& caches, const CacheStore& store,
                        std::int64_t project, const Settings& settings) {
    auto text = "trap 'exit 1' TERM\n" + unpackFunction() + tellFunction() + behindFunction() +
                constants(store, project, settings) + "gb_give_up() {\n" +
                failing("a cache is in the project folder in part only") + "}\n" +
                std::string(kPlace) + std::string(kRestore);
    for (const auto& cache : caches) {
        text += restoring(cache);
    }
    return {.phase = Stage::Phase::Prepare,
            .name = "restore_cache",
            .title = "Restoring cache",
            .text = text + "exit 0\n"};
}

std::vector<Stage> archiveCacheStages(const std::vector<PlannedCache>& caches,
                                      const CacheStore& store, std::int64_t project,
                                      const Settings& settings) {
    const bool expands = std::any_of(caches.begin(), caches.end(),
                                     [](const auto& each) { return isExpandedOnNode(each.entry); });
    std::vector<Stage> stages;
    for (const bool success : {true, false}) {
        std::string text;
        for (const auto& cache : caches) {
            text += isWanted(cache, success) ? saving(cache) : "";
        }
        if (text.empty()) {
            continue;
        }
        stages.push_back(
            {.phase = Stage::Phase::Save,
             .name = success ? "archive_cache" : "archive_cache_on_failure",
             .title = success ? "Saving cache for successful job" : "Saving cache for failed job",
             .text = selectionFunctions(expands, Listing::Exact) +
                     constants(store, project, settings) + std::string(kPlace) +
                     std::string(kSave) + text +
                     "[ -z \"$gb_saved\" ] || gb_sweep >/dev/null 2>&1\n"
                     "rm -rf -- \"$gb_tmp\"\nexit 0\n",
             .onSuccess = success,
             .onFailure = !success});
    }
    return stages;
}

}  // namespace gridbridge::payload
