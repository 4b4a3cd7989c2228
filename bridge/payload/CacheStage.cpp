#include "bridge/payload/CacheStage.h"

#include <algorithm>
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
  local gb_at=$gb_store gb_part
  [ -d "$gb_at" ] || { echo "WARNING: there is no folder $gb_at on this node"; return 1; }
  for gb_part in ${gb_account:+"$gb_account"} "$gb_project" "$1"; do
    gb_at+=/$gb_part
    [ "$2" = 0 ] || [ -d "$gb_at" ] || mkdir -m 700 -- "$gb_at" 2>/dev/null || [ -d "$gb_at" ] || {
      echo "WARNING: $gb_at cannot be made"
      return 1
    }
    [ -e "$gb_at" ] || [ -L "$gb_at" ] || { echo 'WARNING: Cache file does not exist'; return 1; }
    [ -d "$gb_at" ] && [ ! -L "$gb_at" ] && [ -O "$gb_at" ] || {
      echo "WARNING: $gb_at is no folder of the account of this job"
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
gb_place() (
  set -o pipefail
  cd -- "$1" || exit
  find . -mindepth 1 \( -type f -o -type d -o -type l \) -print0 |
    tar --format=gnu --hard-dereference --null --no-recursion -T - -cf - | gb_unpack -xf -
)
gb_extract() {
  local gb_fresh gb_rc
  gb_fresh=$(mktemp -d "$GB_CTL/cache.XXXXXXXX") || return
  tar -xzf - -C "$gb_fresh" -p --no-same-owner --delay-directory-restore && gb_place "$gb_fresh"
  gb_rc=$?
  rm -rf -- "$gb_fresh" 2>/dev/null || { chmod -R u+rwX -- "$gb_fresh"; rm -rf -- "$gb_fresh"; }
  return "$gb_rc"
}
# gb_fetch KEY FOLDER
gb_fetch() {
  gb_notice "Checking cache for $1..."
  if gb_enter "$2" 0; then
    if ! gb_is_archive; then
      echo 'WARNING: Cache file does not exist'
    elif touch -ac -- "$gb_archive"; gb_extract <"$gb_archive"; then
      gb_notice 'Successfully extracted cache'
      return
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
  [ -s "$gb_tmp/list" ] || { echo 'No files to cache.'; exit 3; }
  umask 077
  gb_enter "$1" 1
  if gb_is_archive && ! gb_is_older; then
    touch -ac -- "$gb_archive"
    echo 'Archive is up to date!'
    exit 4
  fi
  gb_new=$(mktemp "${gb_archive%/*}/.XXXXXXXX.part")
  trap 'rm -f -- "$gb_new"' EXIT
  trap 'exit 1' TERM
  gb_tar "$gb_new" "$gb_kib"
  # What changes while it is packed is newer.
  touch -r "$gb_tmp/began" -- "$gb_new"
  touch -ac -- "$gb_new"
  [ -L "$gb_archive" ] || [ ! -d "$gb_archive" ] || rm -rf -- "$gb_archive"
  mv -fT -- "$gb_new" "$gb_archive"
}
# gb_told RC: says what came of it.
gb_told() {
  case $1 in
    0) gb_saved=1; gb_notice 'Created cache' ;;
    3) ;;
    4) gb_notice 'Created cache' ;;
    *) gb_warn 'Failed to create cache' ;;
  esac
}
# Removes what was used last longest ago, and what no one uses any more. Names are those that this
# program gives; what else there may be is left alone.
gb_sweep() {
  local gb_from=$gb_store${gb_account:+/$gb_account}/. gb_at gb_size gb_name gb_sum=0 gb_least
  local gb_ours='.*/[0-9]+/[0-9a-f]{64}'
  [ -n "$gb_saved" ] || return
  printf -v gb_least '%(%s)T' -1
  gb_least=$((gb_least - gb_age))
  find "$gb_from" -mindepth 3 -maxdepth 3 -type f -regextype posix-extended \
    -regex "$gb_ours/cache\.tar\.gz" -printf '%A@ %s %P\n' | sort -rn |
    while read -r gb_at gb_size gb_name; do
      gb_sum=$((gb_sum + gb_size))
      [ "${gb_at%%.*}" -ge "$gb_least" ] && [ "$gb_sum" -le "$gb_limit" ] || rm -f -- "$gb_from/$gb_name"
    done
  find "$gb_from" -mindepth 3 -maxdepth 3 -type f -regextype posix-extended \
    -regex "$gb_ours/\.[^/]{8}\.part" -mmin +1440 -delete
  find "$gb_from" -mindepth 2 -maxdepth 2 -type d -regextype posix-extended \
    -regex "$gb_ours" -empty -mmin +1440 -delete
}
)gb";

std::string constants(const CacheStore& store, std::int64_t project) {
    constexpr std::uint64_t kKib = 1024;
    return "gb_store=" + shellQuoted(store.folder) + "\ngb_account=" + shellQuoted(store.account) +
           "\ngb_project=" + std::to_string(project) + "\ngb_limit=" + std::to_string(store.limit) +
           "\ngb_kib=" + std::to_string(std::max(store.limit / kKib, std::uint64_t{1})) +
           "\ngb_age=" + std::to_string(store.age.count()) + "\n";
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
        text += path.problem.empty() ? "" : "printf '%s\\n' " + shellQuoted(path.problem) + "\n";
    }
    return text + "(\nset -eo pipefail\n: >\"$gb_tmp/began\"\n" +
           selection(cache.entry, cache.files) + "gb_keep " + cacheFolderName(key) +
           "\n)\ngb_told $?\n";
}

bool isWanted(const PlannedCache& cache, bool success) {
    return cache.when == "always" || (cache.when == "on_failure") != success;
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
        auto made = planArtifact(job, files);
        if (!made) {
            warnings.emplace_back("the paths of a cache are too long, skipping");
            continue;
        }
        caches.push_back({std::move(*plan), entry.when, std::move(files), std::move(made).value()});
    }
    return caches;
}

Stage restoreCacheStage(const std::vector<PlannedCache>& caches, const CacheStore& store,
                        std::int64_t project, const Settings& settings) {
    auto text = "trap 'exit 1' TERM\n" + unpackFunction() + constants(store, project) +
                std::string(kPlace) + std::string(kRestore);
    for (const auto& cache : caches) {
        text += restoring(cache);
    }
    return {.phase = Stage::Phase::Prepare,
            .name = "restore_cache",
            .title = "Restoring cache",
            .text = text + "exit 0\n",
            .attempts = settings.restoreCacheAttempts};
}

std::vector<Stage> archiveCacheStages(const std::vector<PlannedCache>& caches,
                                      const CacheStore& store, std::int64_t project) {
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
             .text = selectionFunctions(expands) + constants(store, project) + std::string(kPlace) +
                     std::string(kSave) + text + "gb_sweep 2>/dev/null\nexit 0\n",
             .onSuccess = success,
             .onFailure = !success});
    }
    return stages;
}

}  // namespace gridbridge::payload
