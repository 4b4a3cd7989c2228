#include "bridge/payload/Dependency.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/StageText.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

std::string unpackFunction() {
    // tar takes away what is in the way of a member, a link too, and writes through none that is in
    // the place of a folder of the tarball. Not with -U: that takes away folders, and fails when
    // they are full. Folders get their rights last, so that those that nobody may write into are
    // filled. Modes are those of the other job: this account's umask has no say.
    return R"(unset TAR_OPTIONS GZIP
gb_unpack() {
  # An earlier archive may have brought folders that nobody may write into.
  find "$GB_PROJECT_DIR" -type d ! -perm -u+w -exec chmod u+w -- {} +
  tar "$@" -C "$GB_PROJECT_DIR" -p --no-same-owner --delay-directory-restore
}
)";
}

Stage downloadStage(const std::vector<gitlab::Dependency>& dependencies, const Settings& settings) {
    auto text = "trap 'exit 1' TERM\n" + unpackFunction();
    for (std::size_t i = 0; i < dependencies.size(); ++i) {
        const auto& dependency = dependencies[i];
        if (!hasArchive(dependency)) {
            continue;
        }
        const auto who = oneLine(dependency.name) + " (" + std::to_string(dependency.id) + ")";
        text += printGreen("Downloading artifacts for " + who + "...");
        text += "gb_unpack -xzf \"$GB_IN/" + dependencyTarball(i) + "\" || {\n" +
                failing("the artifacts of " + who + " cannot be unpacked") + "}\n";
    }
    return {.phase = Stage::Phase::Prepare,
            .name = "download_artifacts",
            .title = "Downloading artifacts",
            .text = std::move(text),
            .attempts = settings.artifactDownloadAttempts};
}

}  // namespace gridbridge::payload
