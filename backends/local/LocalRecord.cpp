#include "backends/local/LocalRecord.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>

namespace gridbridge {
namespace {

constexpr std::size_t kMaxRecord = 4096;
constexpr std::size_t kMaxReason = 500;

constexpr std::array<std::pair<LocalState, std::string_view>, 3> kStates{{
    {LocalState::Pending, "pending"},
    {LocalState::Running, "running"},
    {LocalState::Ended, "ended"},
}};
/// Those that can happen here.
constexpr std::array<std::pair<EndCause, std::string_view>, 5> kCauses{{
    {EndCause::None, "none"},
    {EndCause::Exited, "exited"},
    {EndCause::RemovedByUs, "removed_by_us"},
    {EndCause::NodeFailure, "node_failure"},
    {EndCause::NeverRunnable, "never_runnable"},
}};

template <typename Table, typename Value>
std::string_view nameOf(const Table& table, Value value) {
    const auto* found = std::find_if(table.begin(), table.end(),
                                     [value](const auto& row) { return row.first == value; });
    BRIDGE_CHECK(found != table.end());
    return found->second;
}

std::string oneLine(const std::string& text) {
    auto line = text.substr(0, kMaxReason);
    std::replace_if(
        line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return line;
}

/// Takes the fields of a record one by one; what is wrong anywhere makes the whole unusable.
class Fields {
public:
    explicit Fields(std::string_view text) {
        good_ = !text.empty() && text.size() <= kMaxRecord && text.back() == '\n';
        while (good_ && !text.empty()) {
            const auto line = text.substr(0, text.find('\n'));
            const auto sign = line.find('=');
            good_ = sign != std::string_view::npos &&
                    fields_.emplace(line.substr(0, sign), line.substr(sign + 1)).second;
            text.remove_prefix(line.size() + 1);
        }
    }

    std::string text(std::string_view name) {
        const auto found = fields_.find(name);
        if (found == fields_.end()) {
            good_ = false;
            return {};
        }
        std::string value(found->second);
        fields_.erase(found);
        return value;
    }
    template <typename T>
    T number(std::string_view name) {
        const auto value = text(name);
        T result{};
        const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), result);
        good_ = good_ && code == std::errc() && end == value.data() + value.size();
        return result;
    }
    WallTime time(std::string_view name) { return fromEpoch(Millis(number<std::int64_t>(name))); }
    bool flag(std::string_view name) {
        const auto value = text(name);
        good_ = good_ && (value == "yes" || value == "no");
        return value == "yes";
    }
    template <typename Table>
    auto word(std::string_view name, const Table& table) {
        const auto value = text(name);
        const auto* found = std::find_if(table.begin(), table.end(),
                                         [&value](const auto& row) { return row.second == value; });
        good_ = good_ && found != table.end();
        return good_ ? found->first : table.front().first;
    }
    bool has(std::string_view name) const { return fields_.contains(name); }
    void require(bool condition) { good_ = good_ && condition; }
    bool allTaken() const { return good_ && fields_.empty(); }

private:
    std::map<std::string_view, std::string_view> fields_;
    bool good_ = false;
};

}  // namespace

std::string formatRecord(const LocalRecord& record) {
    std::string text;
    const auto line = [&text](std::string_view name, std::string_view value) {
        text.append(name).append("=").append(value).append("\n");
    };
    const auto number = [&line](std::string_view name, auto value) {
        line(name, std::to_string(value));
    };
    const auto time = [&number](std::string_view name, WallTime value) {
        number(name, sinceEpoch(value).count());
    };
    line("state", nameOf(kStates, record.state));
    line("account", record.account);
    number("id", record.id);
    time("submitted_at", record.submittedAt);
    if (record.removedAt) {
        time("removed_at", *record.removedAt);
    }
    if (record.process) {
        number("pid", record.process->pid);
        number("start_ticks", record.process->startTicks);
        line("boot_id", record.process->bootId);
    }
    if (record.startedAt) {
        time("started_at", *record.startedAt);
    }
    if (record.endedAt) {
        time("ended_at", *record.endedAt);
    }
    line("cause", nameOf(kCauses, record.cause));
    if (record.exitCode) {
        number("exit_code", *record.exitCode);
    }
    if (record.signal) {
        number("signal", *record.signal);
    }
    line("script_started", record.scriptStarted ? "yes" : "no");
    line("reason", oneLine(record.reason));
    return text;
}

namespace {

void requireSense(const LocalRecord& record, Fields& fields) {
    const bool ended = record.state == LocalState::Ended;
    fields.require(ended == record.endedAt.has_value());
    fields.require(ended == (record.cause != EndCause::None));
    fields.require(record.state != LocalState::Running || record.process.has_value());
}

}  // namespace

Result<LocalRecord> parseRecord(const SubmissionKey& key, std::string_view text) {
    Fields fields(text);
    LocalRecord record;
    record.key = key;
    record.state = fields.word("state", kStates);
    record.account = fields.text("account");
    record.id = fields.number<std::uint64_t>("id");
    record.submittedAt = fields.time("submitted_at");
    if (fields.has("removed_at")) {
        record.removedAt = fields.time("removed_at");
    }
    if (fields.has("pid")) {
        record.process =
            folder::ProcessId{.pid = fields.number<pid_t>("pid"),
                              .startTicks = fields.number<std::uint64_t>("start_ticks"),
                              .bootId = fields.text("boot_id")};
        fields.require(record.process->pid > 0);
    }
    if (fields.has("started_at")) {
        record.startedAt = fields.time("started_at");
    }
    if (fields.has("ended_at")) {
        record.endedAt = fields.time("ended_at");
    }
    record.cause = fields.word("cause", kCauses);
    if (fields.has("exit_code")) {
        record.exitCode = fields.number<int>("exit_code");
    }
    if (fields.has("signal")) {
        record.signal = fields.number<int>("signal");
    }
    record.scriptStarted = fields.flag("script_started");
    record.reason = fields.text("reason");
    requireSense(record, fields);
    if (!fields.allTaken()) {
        return permanentError("the local backend's record of " + key.value + " is damaged");
    }
    return record;
}

std::string formatInputs(std::span<const folder::StagedFile> files) {
    std::string text;
    for (const auto& file : files) {
        text.append(file.name).append(" ").append(std::to_string(file.content.size()));
        text.append("\n").append(file.content);
    }
    return text;
}

Result<std::vector<folder::StagedFile>> parseInputs(const SubmissionKey& key,
                                                    std::string_view text) {
    std::vector<folder::StagedFile> files;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        const auto space = line.find(' ');
        const auto digits = line.substr(std::min(space, line.size() - 1) + 1);
        std::size_t size = 0;
        const auto [end, code] =
            std::from_chars(digits.data(), digits.data() + digits.size(), size);
        if (code != std::errc() || end != digits.data() + digits.size() ||
            line.size() == text.size() || size > text.size() - line.size() - 1) {
            return permanentError("the inputs that the local backend keeps for " + key.value +
                                  " are damaged");
        }
        files.push_back(
            {std::string(line.substr(0, space)), std::string(text.substr(line.size() + 1, size))});
        text.remove_prefix(line.size() + 1 + size);
    }
    return files;
}

}  // namespace gridbridge
