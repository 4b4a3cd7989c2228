#include "bridge/app/TraceFollower.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <ostream>

namespace gridbridge::app {

namespace {

constexpr std::chrono::seconds kFollowInterval{1};
constexpr std::size_t kPiece = 64 * 1024;

/// Copies bytes [from, to) of a trace that may be shorter; gives where it stopped, or nothing
/// when the file cannot be opened, with errno saying why.
std::optional<std::int64_t> copyTrace(const std::filesystem::path& file, std::int64_t from,
                                      std::int64_t to, std::ostream& out) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        return std::nullopt;
    }
    in.seekg(from);
    std::string piece(kPiece, '\0');
    while (from < to) {
        const auto wanted = std::min(to - from, static_cast<std::int64_t>(piece.size()));
        in.read(piece.data(), wanted);
        out.write(piece.data(), in.gcount());
        from += in.gcount();
        if (in.gcount() < wanted) {
            break;
        }
    }
    out.flush();
    return from;
}

}  // namespace

Result<void> followTrace(const std::filesystem::path& file,
                         const std::function<TraceExtent()>& look, Clock& clock,
                         std::ostream& out) {
    std::int64_t shown = 0;
    for (;;) {
        const TraceExtent extent = look();
        if (extent.length > shown) {
            const auto copied = copyTrace(file, shown, extent.length, out);
            const int fault = errno;
            if (!copied && (extent.done || fault != ENOENT)) {
                return permanentError("the log " + file.string() +
                                      " cannot be read: " + std::strerror(fault) +
                                      (fault == EACCES ? "; use the account of the service" : ""));
            }
            shown = copied.value_or(shown);
        }
        if (extent.done) {
            return {};
        }
        clock.sleepUntil(clock.steadyNow() + kFollowInterval, {});
    }
}

}  // namespace gridbridge::app
