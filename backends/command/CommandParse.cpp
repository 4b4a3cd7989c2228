#include "backends/command/CommandParse.h"

#include <Poco/JSON/Parser.h>
#include <Poco/RegularExpression.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "backends/api/SchedulerCommands.h"

namespace gridbridge {
namespace {

using Poco::RegularExpression;

/// Names and numbers of the capturing groups of a pattern, pcrepattern(3).
std::map<std::string, std::size_t> groupsOf(const std::string& pattern) {
    std::map<std::string, std::size_t> names;
    std::size_t number = 0;
    bool inClass = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\') {
            ++i;
        } else if (inClass) {
            inClass = pattern[i] != ']';
        } else if (pattern[i] == '[') {
            inClass = true;
            if (pattern.compare(i + 1, 1, "]") == 0) {
                ++i;
            }
        } else if (pattern[i] == '(') {
            const bool isNamed = pattern.compare(i + 1, 2, "?<") == 0 && i + 3 < pattern.size() &&
                                 pattern[i + 3] != '=' && pattern[i + 3] != '!';
            if (isNamed) {
                const auto end = pattern.find('>', i);
                names.emplace(pattern.substr(i + 3, end - i - 3), ++number);
            } else if (pattern.compare(i + 1, 1, "?") != 0 && pattern.compare(i + 1, 1, "*") != 0) {
                ++number;
            }
        }
    }
    return names;
}

/// An id is a word of a command: no option, and nothing that a person would have to quote or that
/// a terminal would obey.
bool isId(const std::string& id) {
    return !id.empty() && id.size() < 128 && id.front() != '-' &&
           std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c <= '~'; }) &&
           id.find_first_of("\"'\\") == std::string::npos;
}

std::optional<int> number(const std::string& text) {
    int value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                   : std::nullopt;
}

std::string valueOf(const CommandPattern::Groups& groups, const std::string& name) {
    const auto found = groups.find(name);
    return found == groups.end() ? "" : found->second;
}

std::string saidBy(const Finished& finished) {
    const auto sentence = lastLineOf(finished.err);
    return sentence.empty() ? lastLineOf(finished.out) : sentence;
}

/// Whether the pattern is in the answer. A command that was killed said nothing, not that there is
/// nothing.
bool isSaid(const CommandPattern& pattern, const Finished& finished) {
    const auto all = finished.out + finished.err;
    return (finished.exitCode == 0 || !lastLineOf(all).empty()) && pattern.isIn(all);
}

}  // namespace

CommandPattern::CommandPattern(const std::string& text) : names_(groupsOf(text)) {
    if (text.empty()) {
        return;
    }
    try {
        expression_ = std::make_unique<RegularExpression>(
            text, RegularExpression::RE_MULTILINE | RegularExpression::RE_NEWLINE_LF);
    } catch (const Poco::Exception& fault) {
        throw std::invalid_argument(fault.message());
    }
}

CommandPattern::~CommandPattern() = default;
CommandPattern::CommandPattern(CommandPattern&&) noexcept = default;

std::optional<CommandPattern::Match> CommandPattern::find(const std::string& text,
                                                          std::size_t offset) const {
    RegularExpression::MatchVec matches;
    try {
        if (!expression_ || expression_->match(text, offset, matches) == 0 || matches.empty()) {
            return std::nullopt;
        }
    } catch (const Poco::Exception&) {
        return std::nullopt;  // PCRE gave up.
    }
    Match found{matches[0].offset, matches[0].offset + matches[0].length, {}};
    for (const auto& [name, number] : names_) {
        if (number < matches.size() && matches[number].offset != std::string::npos) {
            found.groups[name] = text.substr(matches[number].offset, matches[number].length);
        }
    }
    return found;
}

std::optional<CommandPattern::Groups> CommandPattern::whole(const std::string& text) const {
    auto found = find(text);
    return found && found->begin == 0 && found->end == text.size()
               ? std::optional(std::move(found->groups))
               : std::nullopt;
}

CommandParser::CommandParser(const CommandConfig& config)
    : program_(config.status.empty() ? "" : config.status.front()),
      json_(config.statusJson),
      submitId_(config.submitId),
      submitRefused_(config.submitRefused),
      submitFull_(config.submitFull),
      statusJob_(config.statusJob),
      statusOther_(config.statusOther),
      statusEmpty_(config.statusEmpty),
      resultEnd_(config.resultEnd),
      resultNone_(config.resultNone),
      resultWallTime_(config.resultWallTime),
      resultMemory_(config.resultMemory),
      resultNode_(config.resultNode),
      cancelGone_(config.cancelGone) {
    for (const auto& member : config.statusMembers) {
        const auto at = member.find('=');
        members_[member.substr(0, at)] = at == std::string::npos ? "" : member.substr(at + 1);
    }
    // Whole words: each is one group, so that `|` within it does not end it.
    const auto state = [&](const std::string& words, BatchState which, bool failed) {
        states_.push_back(
            {CommandPattern(words.empty() ? "" : "(?:" + words + ")"), which, failed});
    };
    state(config.failedStates, BatchState::Ended, true);
    state(config.heldStates, BatchState::Held, false);
    state(config.pendingStates, BatchState::Pending, false);
    state(config.runningStates, BatchState::Running, false);
    state(config.endedStates, BatchState::Ended, false);
}

void CommandParser::add(CommandListing& listing, const CommandPattern::Groups& job) const {
    const auto name = valueOf(job, "name");
    if (!isOurName(name)) {
        return;
    }
    CommandJob known{{valueOf(job, "id")},
                     BatchState::Unknown,
                     false,
                     valueOf(job, "reason"),
                     valueOf(job, "node")};
    const auto word = valueOf(job, "state");
    for (const auto& each : states_) {
        if (each.pattern.whole(word)) {
            known.state = each.state;
            known.failed = each.failed;
            break;
        }
    }
    if (known.state == BatchState::Unknown || !isId(known.id.value)) {
        listing.trouble = program_ + ": " + name +
                          (isId(known.id.value) ? " has the unknown state " + lastLineOf(word)
                                                : " has no id that makes sense");
        return;
    }
    if (known.reason.empty() && known.state != BatchState::Running) {
        known.reason = word;
    }
    known.reason = lastLineOf(known.reason);
    known.node = lastLineOf(known.node);
    // Of two of one name the one that has not ended is the job.
    const auto [at, isNew] = listing.jobs.try_emplace(name, known);
    if (!isNew && at->second.state == BatchState::Ended) {
        at->second = std::move(known);
    }
}

bool CommandParser::isNothing(const std::string& line) const {
    return line.find_first_not_of(" \t\r") == std::string::npos || statusOther_.whole(line);
}

void CommandParser::readText(CommandListing& listing, const std::string& out) const {
    std::string rest;
    std::size_t at = 0;
    while (const auto job = at < out.size() ? statusJob_.find(out, at) : std::nullopt) {
        if (job->end == job->begin) {
            break;
        }
        rest.append(out, at, job->begin - at).append("\n");
        add(listing, job->groups);
        at = job->end;
    }
    rest.append(out, at);
    for (std::size_t begin = 0; begin < rest.size();) {
        const auto end = std::min(rest.find('\n', begin), rest.size());
        const auto line = rest.substr(begin, end - begin);
        if (!isNothing(line)) {
            listing.trouble = program_ + " printed what makes no sense: " + lastLineOf(line);
        }
        begin = end + 1;
    }
    if (!out.empty() && out.back() != '\n') {
        listing.trouble = program_ + " printed a line that is cut off";
    }
}

Result<void> CommandParser::readJson(CommandListing& listing, const std::string& out) const {
    const auto unreadable = transientError(program_ + " printed no JSON with jobs at " + json_);
    try {
        Poco::JSON::Parser parser;
        parser.setDepth(20);
        auto jobs = parser.parse(out);
        for (std::size_t at = json_ == "." ? json_.size() : 0; at < json_.size();) {
            const auto end = std::min(json_.find('.', at), json_.size());
            jobs = jobs.extract<Poco::JSON::Object::Ptr>()->get(json_.substr(at, end - at));
            at = end + 1;
        }
        const auto one = [&](const std::string& key, const Poco::Dynamic::Var& value) {
            const auto& object = value.extract<Poco::JSON::Object::Ptr>();
            CommandPattern::Groups groups{{"id", key}};
            for (const auto& [group, member] : members_) {
                groups[group] = object->isNull(member) ? "" : object->get(member).toString();
            }
            add(listing, groups);
        };
        if (jobs.type() == typeid(Poco::JSON::Array::Ptr)) {
            for (const auto& value : *jobs.extract<Poco::JSON::Array::Ptr>()) {
                one("", value);
            }
        } else {
            for (const auto& [key, value] : *jobs.extract<Poco::JSON::Object::Ptr>()) {
                one(key, value);
            }
        }
    } catch (const Poco::Exception&) {
        return unreadable;
    }
    return {};
}

Result<CommandListing> CommandParser::listing(const Finished& status) const {
    if (isSaid(statusEmpty_, status)) {
        return CommandListing{};
    }
    if (status.exitCode != 0) {
        return transientError(program_ + ": " + saidBy(status));
    }
    CommandListing listing;
    if (json_.empty()) {
        readText(listing, status.out);
    } else if (auto read = readJson(listing, status.out); !read) {
        return read.error();
    }
    if (listing.jobs.empty() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    return listing;
}

Result<Submission> CommandParser::submission(const Finished& submit, WallTime now) const {
    if (submit.exitCode == 0) {
        const auto id = submitId_.whole(lastLineOf(submit.out));
        if (id && submit.out.ends_with('\n') && isId(valueOf(*id, "id"))) {
            return Submission{.accepted = Accepted{{valueOf(*id, "id")}, now}, .full = {}};
        }
        return uncertainError("the batch system gave no job id: " + saidBy(submit));
    }
    const auto all = submit.out + submit.err;
    if (submitFull_.isIn(all)) {
        return Submission{.accepted = {}, .full = Full{saidBy(submit)}};
    }
    if (const auto refused = submitRefused_.find(all)) {
        const auto begin = all.rfind('\n', refused->begin) + 1;
        return permanentError(
            lastLineOf(all.substr(begin, all.find('\n', refused->begin) - begin)));
    }
    return uncertainError("the batch system took no job: " + saidBy(submit));
}

Observation CommandParser::result(const Finished& result) const {
    const auto all = result.out + result.err;
    Observation seen;
    if (isSaid(resultNone_, result)) {
        seen.state = BatchState::Absent;
        return seen;
    }
    const auto end = resultEnd_.find(all);
    const auto code = end ? number(valueOf(end->groups, "exit")) : std::nullopt;
    seen.cause = resultWallTime_.isIn(all) ? EndCause::WallTimeLimit
                 : resultMemory_.isIn(all) ? EndCause::MemoryLimit
                 : resultNode_.isIn(all)   ? EndCause::NodeFailure
                 : end                     ? EndCause::Exited
                                           : EndCause::None;
    if (seen.cause == EndCause::None) {
        seen.reason = "what the batch system says of the end makes no sense: " + saidBy(result);
        return seen;
    }
    seen.state = BatchState::Ended;
    // What is above 128 and 256 stands for signals, in shells and in PBS.
    const auto signal = number(valueOf(end ? end->groups : CommandPattern::Groups{}, "signal"));
    if (signal.value_or(0) > 0) {
        seen.signal = signal;
    } else if (const int above = code.value_or(0) - (code.value_or(0) > 256 ? 256 : 128);
               above > 0 && above < 128) {
        seen.signal = above;
    } else {
        seen.exitCode = code;
    }
    return seen;
}

bool CommandParser::cancelled(const Finished& cancel) const {
    return cancel.exitCode == 0 || cancelGone_.isIn(cancel.out + cancel.err);
}

}  // namespace gridbridge
