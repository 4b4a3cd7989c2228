#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gridbridge::payload {

/// How a backend's nodes run images: the words of commands, docs/containers.md tells what stands
/// for what in them.
struct ContainerCommands {
    std::vector<std::string> run = {};   ///< Empty = the backend has no containers.
    std::vector<std::string> pull = {};  ///< Empty = `run` gets the image by itself.
    std::vector<std::string> stop = {};  ///< Empty = a container ends with its command.
    std::vector<std::string> own = {};   ///< What follows becomes the account's; of a preset alone.
    std::vector<std::string> binds = {};  ///< Folders of the nodes that jobs see, absolute.
    bool operator==(const ContainerCommands&) const = default;
};

inline constexpr std::string_view kPodman = "podman";
inline constexpr std::string_view kApptainer = "apptainer";

/// Of one of these two, without folders.
ContainerCommands containerPreset(std::string_view name);

}  // namespace gridbridge::payload
