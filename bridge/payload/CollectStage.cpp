#include <algorithm>

#include "bridge/payload/Shell.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

namespace {

std::string collection(const std::vector<CollectedEntry>& entries) {
    // Names begin with `./`, so that none is taken for an option.
    std::string text = R"(trap 'exit 1' TERM
cd -- "$GB_PROJECT_DIR" || exit 1
export LC_ALL=C
gb_find() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  find "$1" \( -type f -o -type d -o -type l \) -print0
}
gb_match() {
  local gb_name
  gb_find "$1" | while IFS= read -r -d '' gb_name; do
    gb_name=${gb_name%/}
    # A link that a path leads through brings what is behind it, and not itself.
    [ "$gb_name" = "${1%/}" ] && [ -L "$gb_name" ] && continue
    [[ ${gb_name#./} =~ $2 ]] && printf '%s\0' "$gb_name"
  done
}
gb_untracked() {
  local gb_name
  git ls-files -o -z | while IFS= read -r -d '' gb_name; do printf './%s\0' "${gb_name%/}"; done
}
gb_pack() {
  local gb_list=$GB_CTL/list gb_to=$GB_OUT/artifact.$1.tar.gz gb_rc
  rm -rf -- "$gb_to" "$gb_to.part"
  # The service reads it as a stream, and knows by the order that nothing comes twice.
  sort -zu -T "$GB_CTL" >"$gb_list" || return 1
  [ -s "$gb_list" ] || return 0
  (
    ulimit -f 10485760
    tar --format=gnu --hard-dereference --null --no-recursion -T "$gb_list" -cf - |
      gzip -1 >"$gb_to.part"
    gb_rc=("${PIPESTATUS[@]}")
    # 1 = a file changed while it was read: what was read is kept.
    [ "${gb_rc[0]}" -le 1 ] && [ "${gb_rc[1]}" -eq 0 ]
  ) && mv -f -- "$gb_to.part" "$gb_to"
}
)";
    for (const auto& entry : entries) {
        std::string condition;
        if (entry.onSuccess != entry.onFailure) {
            condition = std::string("[ \"$GB_JOB_STATUS\" ") + (entry.onSuccess ? "=" : "!=") +
                        " success ]";
        }
        text += condition.empty() ? "" : "if " + condition + "; then\n";
        text += "{\n  :\n";
        for (const auto& path : entry.plan.paths) {
            if (!path.glob) {
                continue;
            }
            const auto& glob = *path.glob;
            if (glob.path()) {
                // One form of each name, or it comes twice.
                text += "  gb_find " +
                        shellQuoted(*glob.path() == "." ? "." : "./" + *glob.path()) + "\n";
            } else {
                text += "  gb_match " +
                        shellQuoted(glob.folder().empty() ? "." : "./" + glob.folder()) + " " +
                        shellQuoted("^" + glob.expression() + "(/.*)?$") + "\n";
            }
        }
        text += entry.plan.untracked ? "  gb_untracked\n" : "";
        text += "} | gb_pack " + std::to_string(entry.index) + " || exit 1\n";
        text += condition.empty() ? "" : "fi\n";
    }
    return text;
}

}  // namespace

Stage collectStage(const std::vector<CollectedEntry>& entries) {
    return {.phase = Stage::Phase::Save,
            .name = "collect",
            .title = {},
            .text = collection(entries),
            .onSuccess = std::any_of(entries.begin(), entries.end(),
                                     [](const auto& entry) { return entry.onSuccess; }),
            .onFailure = std::any_of(entries.begin(), entries.end(),
                                     [](const auto& entry) { return entry.onFailure; }),
            .why = "collect_failed"};
}

}  // namespace gridbridge::payload
