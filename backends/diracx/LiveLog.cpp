#include "backends/diracx/LiveLog.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

constexpr const char* kRunsName = "live-runs";
constexpr const char* kCancelName = "in/cancel";
constexpr std::size_t kMostRuns = 4;
constexpr std::size_t kMostNote = 4096;

folder::FolderRef folderOf(const SubmissionKey& key) {
    return {key, ""};
}

std::string nameOf(const std::string& run) {
    return "live-" + run;
}

/// Of a file: its bytes from the offset.
Result<folder::ReadChunk> readOne(folder::JobFolders& folders, folder::ReadRequest request) {
    return std::move(folders.read(std::span(&request, 1)).front());
}

}  // namespace

bool LiveLog::Runs::has(const std::string& name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool LiveLog::Runs::isGiven(int run) const {
    return std::any_of(given.begin(), given.end(),
                       [run](const auto& each) { return each.run == run; });
}

std::string LiveLog::Runs::newest() const {
    // Whoever was heard before a text that was given belongs to a run that is over.
    const bool isNew = !names.empty() && (given.empty() || given.back().name != names.back());
    return isNew ? names.back() : kNobody;
}

Result<LiveLog::Runs> LiveLog::runsOf(const folder::FolderRef& folder) {
    const auto note = readOne(folders_, {folder, kRunsName, 0, kMostNote});
    if (!note) {
        return note.error();
    }
    Runs runs;
    runs.size = note->size;
    std::istringstream lines(note->bytes);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('=')) {
            std::istringstream words(line.substr(1));
            Given given;
            words >> given.run >> given.name >> given.base;
            runs.given.push_back(given);
        } else {
            runs.names.push_back(line);
        }
    }
    return runs;
}

Result<void> LiveLog::note(const folder::FolderRef& folder, const Runs& runs,
                           const std::string& line) {
    return folders_.append(folder, std::string("out/") + kRunsName, runs.size, line + "\n");
}

Result<bool> LiveLog::admit(const folder::FolderRef& folder, const std::string& run) {
    const auto runs = runsOf(folder);
    if (!runs) {
        return runs.error();
    }
    if (runs->has(run)) {
        return true;
    }
    if (runs->names.size() >= kMostRuns) {
        return false;
    }
    const auto noted = note(folder, *runs, run);
    return noted ? Result<bool>(true) : noted.error();
}

Result<LiveLog::Taken> LiveLog::take(const Post& post) {
    const std::lock_guard lock(mutex_);
    const auto folder = folderOf(post.key);
    const std::vector<folder::ReadRequest> reads{{folder, std::string("in/") + kLoaderName, 0, 0},
                                                 {folder, std::string("in/") + kFetchedName, 0, 0},
                                                 {folder, kCancelName, 0, 0},
                                                 {folder, nameOf(post.run), 0, 0}};
    const auto there = folders_.read(reads);
    for (const auto& each : there) {
        if (!each) {
            return each.error();
        }
    }
    if (!there[0]->exists || there[1]->exists || settled_.contains(post.key.value)) {
        return Taken{};
    }
    const auto known = admit(folder, post.run);
    if (!known || !*known) {
        return known ? Result<Taken>(Taken{.outcome = Outcome::Stranger}) : known.error();
    }
    Taken taken{Outcome::Taken, there[3]->size, there[2]->exists};
    if (post.offset != taken.size) {
        taken.outcome = Outcome::Elsewhere;
        return taken;
    }
    const auto room = static_cast<std::size_t>(std::max<std::int64_t>(kMost - taken.size, 0));
    const auto bytes = post.bytes.substr(0, room);
    if (bytes.empty()) {
        return taken;
    }
    if (auto kept = folders_.append(folder, "out/" + nameOf(post.run), taken.size, bytes); !kept) {
        return kept.error();
    }
    taken.size += static_cast<std::int64_t>(bytes.size());
    return taken;
}

Result<bool> LiveLog::isHeard(const JobRef& ref) {
    const std::lock_guard lock(mutex_);
    const auto runs = runsOf(folderOf(ref.key));
    return runs ? Result<bool>(!runs->names.empty()) : runs.error();
}

Result<std::string> LiveLog::textOf(const folder::FolderRef& folder, const Given& given,
                                    std::int64_t offset, std::int64_t most) {
    if (given.name == kNobody) {
        return std::string();
    }
    auto text =
        readOne(folders_, {folder, nameOf(given.name), offset, static_cast<std::size_t>(most)});
    return text ? Result<std::string>(std::move(text).value().bytes) : text.error();
}

Result<LiveLog::Runs> LiveLog::upTo(const folder::FolderRef& folder, int run, bool isLast) {
    auto runs = runsOf(folder);
    if (!runs) {
        return runs.error();
    }
    auto all = std::move(runs).value();
    Given next{run, all.newest()};
    if (all.isGiven(run) || (next.name == kNobody && (all.given.empty() || !isLast))) {
        return all;
    }
    if (!all.given.empty()) {
        const auto before = textOf(folder, all.given.back(), 0, kMost);
        if (!before) {
            return before.error();
        }
        next.base = all.given.back().base + static_cast<std::int64_t>(before->size());
    }
    const auto noted = note(
        folder, all, "=" + std::to_string(run) + " " + next.name + " " + std::to_string(next.base));
    if (!noted) {
        return noted.error();
    }
    all.given.push_back(next);
    return all;
}

Result<LogChunk> LiveLog::read(const LogRequest& request) {
    if (request.source != LogSource::Job) {
        return LogChunk{};
    }
    const std::lock_guard lock(mutex_);
    const auto folder = folderOf(request.ref.key);
    const auto runs = upTo(folder, request.run, false);
    if (!runs) {
        return runs.error();
    }
    auto most = static_cast<std::int64_t>(request.limit);
    for (auto given = runs->given.rbegin(); given != runs->given.rend(); ++given) {
        if (given->base <= request.offset) {
            auto text = textOf(folder, *given, request.offset - given->base, most);
            // Without its size: a power failure may have shortened it, and the node then sends it
            // again.
            return text ? Result<LogChunk>(LogChunk{.bytes = std::move(text).value(), .status = {}})
                        : text.error();
        }
        most = std::min(most, given->base - request.offset);
    }
    return LogChunk{};
}

Result<std::string> LiveLog::readUpTo(const folder::FolderRef& folder, const std::string& name,
                                      std::int64_t most) {
    auto text = readOne(folders_, {folder, name, 0, static_cast<std::size_t>(most)});
    return text ? Result<std::string>(std::move(text).value().bytes) : text.error();
}

Result<void> LiveLog::replace(const folder::FolderRef& folder, const std::string& log) {
    if (auto written = folders_.append(folder, "out/log", 0, log); !written) {
        return written;
    }
    constexpr std::int64_t kMostStatus = 4097;
    auto status = readUpTo(folder, "status", kMostStatus);
    if (!status || status->empty()) {
        return status ? Result<void>() : status.error();
    }
    // It tells when the log is whole.
    constexpr std::string_view kLine = "\nlog_bytes=";
    auto text = std::move(status).value();
    const auto at = text.find(kLine);
    if (at == std::string::npos) {
        return {};
    }
    const auto number = at + kLine.size();
    text.replace(number, text.find('\n', number) - number, std::to_string(log.size()));
    return folders_.append(folder, "out/status", 0, text);
}

Result<void> LiveLog::settle(const JobRef& ref, int run) {
    const std::lock_guard lock(mutex_);
    const auto folder = folderOf(ref.key);
    const auto runs = upTo(folder, run, true);
    if (!runs) {
        return runs.error();
    }
    settled_.insert(ref.key.value);
    std::string before;
    std::string live;
    for (const auto& given : runs->given) {
        before += live.substr(0, static_cast<std::size_t>(given.base) - before.size());
        auto text = textOf(folder, given, 0, kMost);
        if (!text) {
            return text.error();
        }
        live = std::move(text).value();
    }
    constexpr std::int64_t kMostLog = std::int64_t{256} << 20;  // As of all that is unpacked.
    const auto log = readUpTo(folder, "log", kMostLog);
    if (!log) {
        return log.error();
    }
    if (log->starts_with(before + live)) {
        return {};
    }
    if (log->starts_with(live)) {
        return replace(folder, before + *log);
    }
    if (!live.starts_with(*log)) {
        live += std::string(live.ends_with('\n') ? "" : "\n") +
                "\x1b[0;33mWARNING: the log that came with the end of the job does not begin with "
                "what is above; what follows is all of it\x1b[0;m\n" +
                *log;
    }
    return replace(folder, before + live);
}

void LiveLog::close(const SubmissionKey& key) {
    const std::lock_guard lock(mutex_);
    settled_.insert(key.value);
}

void LiveLog::forget(const SubmissionKey& key) {
    const std::lock_guard lock(mutex_);
    settled_.erase(key.value);
}

}  // namespace gridbridge
