#include "bridge/payload/Shell.h"
#include "bridge/payload/StageText.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

/// `set -o xtrace` comes after the variables: their values stay out of the log. In a container the
/// shell may be another than bash.
std::string stageHead(bool debugTrace) {
    return std::string(
               "trap 'exit 1' TERM\nset -e\n"
               "if [ -n \"${BASH_VERSION-}\" ] || (set -o pipefail) 2>/dev/null; then\n"
               "  set -o pipefail\nfi\n"
               "set +o noclobber\n. \"$GB_IN/env.sh\"\n") +
           (debugTrace ? "set -o xtrace\n" : "");
}

std::string failing(const std::string& why) {
    return "printf '\\033[31;1mERROR: %s\\033[0;m\\n' " + shellQuoted(why) + "\nexit 1\n";
}

std::string scriptItems(const std::vector<std::string>& script) {
    std::string text;
    for (const auto& item : script) {
        const auto body = trimmed(item);
        if (body.empty()) {
            text += "echo\n";
            continue;
        }
        const auto end = body.find('\n');
        const auto first = trimmed(body.substr(0, end));
        text +=
            printGreen("$ " + std::string(first) +
                       (end == std::string_view::npos ? "" : " # collapsed multi-line command"));
        text += std::string(body) + "\n";
    }
    return text;
}

Stage stepStage(const std::string& name, const std::vector<std::string>& script, bool debugTrace) {
    return {.phase = Stage::Phase::Script,
            .name = name,
            .title = "Executing \"" + name + "\" stage of the job script",
            .text = stageHead(debugTrace) + "cd -- \"$GB_PROJECT_DIR\"\n" + scriptItems(script)};
}

Stage afterScriptStage(const std::vector<std::string>& script, bool debugTrace) {
    return {.phase = Stage::Phase::After,
            .name = "after_script",
            .title = "Running after_script",
            .text = stageHead(debugTrace) + "cd -- \"$GB_PROJECT_DIR\"\n" +
                    printGreen("Running after script...") + scriptItems(script)};
}

}  // namespace gridbridge::payload
