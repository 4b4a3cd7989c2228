#include "bridge/core/Trace.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>

#include "bridge/base/CrashPoint.h"
#include "bridge/base/Fd.h"
#include "bridge/base/Utf8.h"
#include "bridge/core/Stamps.h"

namespace gridbridge::core {

using gitlab::MaskMode;
using store::TraceState;

namespace {

std::string limitNotice(std::int64_t limit) {
    return "\n\033[33;1mJob's log exceeded limit of " + std::to_string(limit) +
           " bytes.\nJob execution will continue but no more output will be collected.\033[0;m\n";
}

/// How much of `text` fits into `room` when each line costs `extra` more.
std::size_t fitting(std::string_view text, std::size_t room, std::size_t extra) {
    if (extra == 0) {
        return std::min(text.size(), room);
    }
    std::size_t at = 0;
    while (at < text.size() && room > extra) {
        const auto end = std::min(text.find('\n', at), text.size() - 1) + 1;
        const auto taken = std::min(end - at, room - extra);
        at += taken;
        room -= taken + extra;
    }
    return at;
}

/// Cuts what does not fit behind `before` bytes, and says so; whether there was such. Bridge lines
/// alone never exceed the limit: at the end there may be no room, and nothing to cut.
bool cutToLimit(std::string& text, std::int64_t before, std::int64_t limit, std::size_t extra) {
    const auto room =
        std::max<std::int64_t>(limit - std::min(Trace::kReserve, limit / 2) - before, 0);
    const auto fits = fitting(text, static_cast<std::size_t>(room), extra);
    if (fits == text.size()) {
        return false;
    }
    text.resize(completeUtf8(std::string_view(text).substr(0, fits)));
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

/// The bytes of one append, in the format of its trace.
class Trace::Lines {
public:
    Lines(bool stamps, bool midLine, WallTime at) : stamps_(stamps), midLine_(midLine), at_(at) {}

    void add(std::string_view text, LogStream stream) {
        if (text.empty()) {
            return;
        }
        bytes += stamps_ ? stamped(text, stream, at_, midLine_) : std::string(text);
        midLine_ = bytes.back() != '\n';
    }
    /// What a line costs beside its own bytes.
    std::size_t extra() const { return stamps_ ? kStampBytes + 1 : 0; }

    std::string bytes;

private:
    bool stamps_;
    bool midLine_;  ///< The trace ends within a line.
    WallTime at_;
};

Trace::Lines Trace::linesFor(const store::JobRecord& job, const std::string& jobKey,
                             const TraceNews& news) const {
    if (job.traceLength == 0) {
        return {news.timestamps, false, news.at};
    }
    const auto first = read(jobKey, 0, kStampBytes);
    const auto last = read(jobKey, job.traceLength - 1, 1);
    // A power failure may have taken the first line, or left a torn one.
    const bool isWhole = first.ok() && job.traceLost == 0;
    const auto stamps = isWhole ? beginsWithStamp(*first) : std::nullopt;
    return {stamps.value_or(news.timestamps), last.ok() && *last != "\n", news.at};
}

Result<void> Trace::append(store::JobRecord& job, const std::string& jobKey, const TraceNews& news,
                           const gitlab::Masker& masker, std::int64_t limit) {
    const auto line = [&masker](std::string_view text) {
        return validUtf8(masker.step(text, MaskMode::Plain, true).text);
    };
    // A character that is cut in two waits for its rest, like a secret.
    const auto raw = news.end ? news.raw : news.raw.substr(0, completeUtf8(news.raw));
    const auto step = masker.step(raw, gitlab::maskModeNamed(job.maskMode), news.end);
    auto lines = linesFor(job, jobKey, news);
    lines.add(line(news.before), LogStream::Runner);
    auto state = job.traceState;
    if (state != TraceState::Limited) {
        auto text = validUtf8(step.text);
        const auto before = job.traceLength + static_cast<std::int64_t>(lines.bytes.size());
        if (cutToLimit(text, before, limit, lines.extra()) && state == TraceState::Open) {
            state = TraceState::Limited;
        }
        lines.add(text, LogStream::Job);
    }
    lines.add(line(news.after), LogStream::Runner);
    if (!lines.bytes.empty()) {
        const Fd fd(::open(path(jobKey).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        if (!fd) {
            return transientError("cannot open a trace: " + std::string(std::strerror(errno)));
        }
        if (auto written = writeAt(fd.get(), lines.bytes, job.traceLength); !written.ok()) {
            return written;
        }
        crashPoint("trace-written");
    }
    job.traceLength += static_cast<std::int64_t>(lines.bytes.size());
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

std::optional<std::int64_t> Trace::size(const std::string& jobKey) const {
    std::error_code problem;
    const auto bytes = std::filesystem::file_size(path(jobKey), problem);
    if (problem == std::errc::no_such_file_or_directory) {
        return 0;
    }
    return problem ? std::nullopt : std::optional(static_cast<std::int64_t>(bytes));
}

}  // namespace gridbridge::core
