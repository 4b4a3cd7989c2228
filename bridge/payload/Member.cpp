#include "bridge/payload/Member.h"

#include <algorithm>

namespace gridbridge::payload {

namespace {

constexpr std::size_t kLongestPath = 4096;

}  // namespace

std::optional<std::string> memberName(std::string_view path) {
    while (path.starts_with("./")) {
        path.remove_prefix(2);
    }
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    if (path.empty() || path == ".") {
        return std::string();
    }
    if (path.size() > kLongestPath) {
        return std::nullopt;
    }
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find('/', at), path.size());
        const auto part = path.substr(at, end - at);
        if (part.empty() || part == "." || part == "..") {
            return std::nullopt;
        }
        at = end + 1;
    }
    return std::string(path);
}

}  // namespace gridbridge::payload
