#include "bridge/core/Trace.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>

#include "bridge/base/CrashPoint.h"
#include "bridge/base/Fd.h"
#include "bridge/base/Utf8.h"

namespace gridbridge::core {

using gitlab::MaskMode;
using store::TraceState;

namespace {

std::string limitNotice(std::int64_t limit) {
    return "\n\033[33;1mJob's log exceeded limit of " + std::to_string(limit) +
           " bytes.\nJob execution will continue but no more output will be collected.\033[0;m\n";
}

/// Cuts what does not fit behind `before` bytes, and says so; whether there was such. Bridge lines
/// alone never exceed the limit: at the end there may be no room, and nothing to cut.
bool cutToLimit(std::string& text, std::int64_t before, std::int64_t limit) {
    const auto room =
        std::max<std::int64_t>(limit - std::min(Trace::kReserve, limit / 2) - before, 0);
    if (static_cast<std::int64_t>(text.size()) <= room) {
        return false;
    }
    text.resize(completeUtf8(std::string_view(text).substr(0, static_cast<std::size_t>(room))));
    text += limitNotice(limit);
    return true;
}

Result<void> writeAt(int fd, std::string_view bytes, std::int64_t offset) {
    while (!bytes.empty()) {
        const auto written = ::pwrite(fd, bytes.data(), bytes.size(), offset);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return transientError("cannot write a trace: " + std::string(std::strerror(errno)));
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += written;
    }
    return {};
}

}  // namespace

Trace::Trace(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
}

std::filesystem::path Trace::path(const std::string& jobKey) const {
    return folder_ / (jobKey + ".log");
}

Result<void> Trace::append(store::JobRecord& job, const std::string& jobKey, const TraceNews& news,
                           const gitlab::Masker& masker, std::int64_t limit) {
    const auto line = [&masker](std::string_view text) {
        return validUtf8(masker.step(text, MaskMode::Plain, true).text);
    };
    // A character that is cut in two waits for its rest, like a secret.
    const auto raw = news.end ? news.raw : news.raw.substr(0, completeUtf8(news.raw));
    const auto step = masker.step(raw, gitlab::maskModeNamed(job.maskMode), news.end);
    std::string bytes = line(news.before);
    auto state = job.traceState;
    if (state != TraceState::Limited) {
        auto text = validUtf8(step.text);
        const auto before = job.traceLength + static_cast<std::int64_t>(bytes.size());
        if (cutToLimit(text, before, limit) && state == TraceState::Open) {
            state = TraceState::Limited;
        }
        bytes += text;
    }
    bytes += line(news.after);
    if (!bytes.empty()) {
        const Fd fd(::open(path(jobKey).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        if (!fd) {
            return transientError("cannot open a trace: " + std::string(std::strerror(errno)));
        }
        if (auto written = writeAt(fd.get(), bytes, job.traceLength); !written.ok()) {
            return written;
        }
        crashPoint("trace-written");
    }
    job.traceLength += static_cast<std::int64_t>(bytes.size());
    job.rawOffset += static_cast<std::int64_t>(step.consumed);
    job.maskMode = gitlab::nameOf(step.mode);
    job.traceState = state;
    return {};
}

Result<std::string> Trace::read(const std::string& jobKey, std::int64_t offset,
                                std::size_t limit) const {
    const Fd fd(::open(path(jobKey).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        return transientError("cannot open a trace: " + std::string(std::strerror(errno)));
    }
    std::string bytes(limit, '\0');
    std::size_t known = 0;
    while (known < limit) {
        const auto got = ::pread(fd.get(), bytes.data() + known, limit - known,
                                 offset + static_cast<std::int64_t>(known));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return transientError("cannot read a trace: " + std::string(std::strerror(errno)));
        }
        if (got == 0) {
            break;
        }
        known += static_cast<std::size_t>(got);
    }
    bytes.resize(known);
    return bytes;
}

}  // namespace gridbridge::core
