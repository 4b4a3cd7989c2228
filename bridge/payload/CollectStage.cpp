#include <algorithm>
#include <string_view>

#include "bridge/payload/Expansion.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/Selection.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

namespace {

constexpr std::string_view kFunctions = R"gb(gb_failed=0
# gb_exclude NUMBER EXPRESSION: sets gb_counts[NUMBER] to how many names that takes off the list.
gb_exclude() {
  local gb_all
  [ "$gb_excluding" = 1 ] || return 0
  gb_all=$(gb_count)
  gb_filter "$2" 0 <"$gb_tmp/list" >"$gb_tmp/kept"
  gb_sort <"$gb_tmp/kept"
  gb_counts[$1]=$((gb_all - $(gb_count)))
}
# Whether the files of more than 10 KiB are more than 10 GiB: the service takes no more, and one that is
# a hole would be packed for hours. Most lists have few of those; all others together are small.
gb_is_too_large() {
  local gb_limit=$((10 << 30)) gb_total=0 gb_size gb_sizes
  mapfile -t gb_sizes < <(
    xargs -0 bash -c 'exec find "$@" -maxdepth 0 -type f -size +10k -printf "%s\n"' find <"$gb_tmp/list"
  )
  for gb_size in "${gb_sizes[@]}"; do
    ((gb_size > gb_limit || (gb_total += gb_size) > gb_limit)) && return 0
  done
  return 1
}
gb_pack() {
  local gb_to=$GB_OUT/artifact.$1.tar.gz gb_size
  rm -rf -- "$gb_to" "$gb_to.part"
  [ -s "$gb_tmp/list" ] || return 0
  if gb_is_too_large; then
    gb_tell 'ERROR: the artifacts are larger than 10 GiB'
    return 1
  fi
  gb_tar "$gb_to.part" "$gb_kib" && mv -f -- "$gb_to.part" "$gb_to" && return
  gb_size=$(stat -c %s -- "$gb_to.part" 2>/dev/null) || gb_size=0
  [ "$gb_size" -lt $((gb_kib * 1024)) ] || gb_tell "ERROR: the artifacts are larger than $gb_most"
  rm -f -- "$gb_to.part"
  return 1
}
# gb_state INDEX COUNTS: tells the service the project folder, the texts and gb_counts.
gb_state() {
  local gb_to=$GB_OUT/artifact.$1.names gb_n
  rm -rf -- "$gb_to" "$gb_to.part"
  {
    printf '%s\0' "$GB_PROJECT_DIR" "${gb_texts[@]}"
    for ((gb_n = 0; gb_n < $2; gb_n++)); do printf '%d\0' "${gb_counts[gb_n]:-0}"; done
  } >"$gb_to.part"
  mv -f -- "$gb_to.part" "$gb_to"
}
)gb";

constexpr std::string_view kTextFunctions = R"gb(# gb_exclude_text NUMBER TEXT
gb_exclude_text() {
  [ -n "$2" ] || return 0
  gb_below "$2" || { gb_excluding=0; return 0; }
  gb_glob "$gb_path" && [ "$gb_exact" = 1 ] || return 0
  gb_exclude "$1" "^\./($gb_fits)\$"
}
)gb";

std::string exclusions(const CollectedEntry& entry) {
    std::string text = "gb_excluding=1 gb_counts=()\n";
    for (std::size_t i = 0; i < entry.plan.excluded.size(); ++i) {
        const auto number = std::to_string(i) + " ";
        const auto& path = entry.plan.excluded[i];
        if (hasReference(entry.entry.exclude[i])) {
            text +=
                "gb_exclude_text " + number + selectedText(1 + entry.plan.paths.size() + i) + "\n";
        } else if (path.outside) {
            break;
        } else if (path.glob && path.glob->exact()) {
            text += "gb_exclude " + number + shellQuoted("^\\./" + path.glob->expression() + "$") +
                    "\n";
        }
    }
    return text;
}

/// In a shell of its own, so that its failure loses no other entry.
std::string collection(const CollectedEntry& entry) {
    const auto index = std::to_string(entry.index);
    return "(\nset -eo pipefail\n" + selection(entry.entry, entry.plan, Listing::Possible) +
           exclusions(entry) +
           (hasNames(entry.entry)
                ? "gb_state " + index + " " + std::to_string(entry.plan.excluded.size()) + "\n"
                : "") +
           "gb_pack " + index + "\n" + ")\n[ $? -eq 0 ] || gb_failed=1\n";
}

std::string collections(const std::vector<CollectedEntry>& entries, std::int64_t limit) {
    const bool expands = std::any_of(entries.begin(), entries.end(),
                                     [](const auto& each) { return isExpandedOnNode(each.entry); });
    auto text = selectionFunctions(expands, Listing::Possible) + std::string(kFunctions);
    text += expands ? kTextFunctions : "";
    const auto most = nodeLimit(limit);
    text += "gb_kib=" + std::to_string(most / 1024) + " gb_most='" + sizeText(most) +
            " as the node packs them; the artifact_limit of this runner is " + sizeText(limit) +
            "'\n";
    for (const auto& entry : entries) {
        if (entry.onSuccess == entry.onFailure) {
            text += collection(entry);
            continue;
        }
        text += std::string("if [ \"$GB_JOB_STATUS\" ") + (entry.onSuccess ? "=" : "!=") +
                " success ]; then\n" + collection(entry) + "fi\n";
    }
    return text + "exit \"$gb_failed\"\n";
}

}  // namespace

Stage collectStage(const std::vector<CollectedEntry>& entries, std::int64_t limit) {
    return {.phase = Stage::Phase::Save,
            .name = "collect",
            .title = {},
            .text = collections(entries, limit),
            .onSuccess = std::any_of(entries.begin(), entries.end(),
                                     [](const auto& entry) { return entry.onSuccess; }),
            .onFailure = std::any_of(entries.begin(), entries.end(),
                                     [](const auto& entry) { return entry.onFailure; }),
            .why = "collect_failed"};
}

}  // namespace gridbridge::payload
