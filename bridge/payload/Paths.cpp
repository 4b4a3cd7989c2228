#include "bridge/payload/Paths.h"

#include <algorithm>
#include <vector>

namespace gridbridge::payload {

std::optional<std::string> cleanedPath(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const auto end = std::min(path.find('/'), path.size());
        const auto part = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (part == "..") {
            if (parts.empty()) {
                return std::nullopt;
            }
            parts.pop_back();
        } else if (!part.empty() && part != ".") {
            parts.push_back(part);
        }
    }
    std::string text;
    for (const auto part : parts) {
        text += (text.empty() ? "" : "/") + std::string(part);
    }
    return text.empty() ? "." : text;
}

}  // namespace gridbridge::payload
