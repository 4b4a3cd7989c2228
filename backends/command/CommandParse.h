#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backends/command/CommandTemplates.h"
#include "bridge/base/Process.h"

namespace Poco {
class RegularExpression;
}

namespace gridbridge {

/// A Perl regular expression with named groups, `^` and `$` at every line. Safe for concurrent use.
class CommandPattern {
public:
    using Groups = std::map<std::string, std::string>;

    /// An empty one matches nothing. Throws std::invalid_argument that says what is wrong.
    explicit CommandPattern(const std::string& text);
    ~CommandPattern();
    CommandPattern(CommandPattern&&) noexcept;
    CommandPattern& operator=(CommandPattern&&) = delete;
    CommandPattern(const CommandPattern&) = delete;
    CommandPattern& operator=(const CommandPattern&) = delete;

    /// The groups of the first match from `offset` on, and where that was. A text on which the
    /// search does not end soon has none.
    struct Match {
        std::size_t begin;
        std::size_t end;
        Groups groups;
    };
    std::optional<Match> find(const std::string& text, std::size_t offset = 0) const;
    bool isIn(const std::string& text) const { return find(text).has_value(); }
    /// The groups, where the whole text is the match.
    std::optional<Groups> whole(const std::string& text) const;
    bool hasGroup(const std::string& name) const { return names_.contains(name); }

private:
    std::unique_ptr<Poco::RegularExpression> expression_;
    std::map<std::string, std::size_t> names_;
};

/// One job as the batch system lists it.
struct CommandJob {
    RemoteId id;
    BatchState state = BatchState::Unknown;
    bool failed = false;  ///< Will not run, but stays: `state` is Ended.
    std::string reason = {};
    std::string node = {};
    bool operator==(const CommandJob&) const = default;
};

/// Our jobs of an answer, by name.
struct CommandListing {
    std::map<std::string, CommandJob> jobs;
    /// Why a job that is not listed may be there nevertheless, one line; empty = the list is whole.
    std::string trouble;
};

/// Reads what the commands of one configuration printed.
class CommandParser {
public:
    /// Throws std::invalid_argument for a pattern that is none.
    explicit CommandParser(const CommandConfig& config);

    /// What `status` printed; an error when nothing can be concluded from it.
    Result<CommandListing> listing(const Finished& status) const;
    /// Accepted only when the whole last line of the answer is as it should be; refused or full
    /// only by their patterns; anything else is Uncertain.
    Result<Submission> submission(const Finished& submit, WallTime now) const;
    /// How a job ended by what `result` printed: Ended, or Absent where nothing is known of it.
    /// Unknown, with a reason, for an answer that makes no sense.
    Observation result(const Finished& result) const;
    /// Whether `cancel` did what it should, or found nothing left to do.
    bool cancelled(const Finished& cancel) const;

private:
    struct StatePattern {
        CommandPattern pattern;
        BatchState state;
        bool failed;
    };
    void add(CommandListing& listing, const CommandPattern::Groups& job) const;
    void readText(CommandListing& listing, const std::string& out) const;
    Result<void> readJson(CommandListing& listing, const std::string& out) const;
    bool isNothing(const std::string& line) const;

    std::string program_;
    std::string json_;
    std::map<std::string, std::string> members_;  ///< Group to member.
    CommandPattern submitId_, submitRefused_, submitFull_;
    CommandPattern statusJob_, statusOther_, statusEmpty_;
    std::vector<StatePattern> states_;
    CommandPattern resultEnd_, resultNone_, resultWallTime_, resultMemory_, resultNode_;
    CommandPattern cancelGone_;
};

}  // namespace gridbridge
