#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bridge/base/Result.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {

/// Names of the wrapper's own variables: paths that only the node knows, and the job's status.
constexpr std::string_view kBuildsDir = "GB_BUILDS_DIR";
constexpr std::string_view kProjectDir = "GB_PROJECT_DIR";
constexpr std::string_view kTmpDir = "GB_TMP_DIR";
constexpr std::string_view kJobStatus = "GB_JOB_STATUS";

/// A part of a value: text, or, when late, the name of a variable of the wrapper.
struct Piece {
    bool late = false;
    std::string text;
    bool operator==(const Piece&) const = default;
};
/// A value as far as it is known before the job has a folder on its node. No two neighbouring
/// pieces are text, none is empty text.
using Value = std::vector<Piece>;

/// One bash word (job-execution 2.5, late-bound paths).
std::string shellWord(const Value& value);
/// The text for the service's own use; late parts are shown as `$NAME`.
std::string plainText(const Value& value);

/// The variables of a job in the order of job-execution 2.1, and the references between them.
class Variables {
public:
    /// What GitLab sent and the paths of the node: what artifact paths may refer to.
    explicit Variables(const gitlab::JobDescription& job);
    /// All variables of the job.
    Variables(const gitlab::JobDescription& job, const ScriptContext& context);

    /// Replaces references by the rules of job-execution 2.3: once, from unexpanded values.
    /// Takes the length of the result from `budget`; a result that needs more is cut and leaves 0.
    Value expand(std::string_view text, std::size_t& budget) const;
    /// Of the last variable of that name, expanded; empty when absent.
    std::string setting(std::string_view key) const;

    /// What every stage sources first. Adds a line to `warnings` for each variable left out.
    /// Permanent error when the values grow beyond all bounds.
    Result<std::string> environmentFile(std::vector<std::string>& warnings) const;
    /// Expanded values of masked variables, as far as the service knows them.
    std::vector<std::string> maskPhrases() const;

private:
    struct Entry {
        std::string key;
        std::string text = {};  ///< Unexpanded.
        Value late = {};        ///< Instead of the text when not empty.
        bool raw = false;
        bool file = false;
        bool masked = false;
    };
    void add(Entry entry);
    void addText(std::string_view key, std::string text);
    void addLate(std::string_view key, Value value);
    void addConfigured(const std::string& nameAndValue);
    void addPayload(const gitlab::JobDescription& job);
    void addPaths();
    void appendReference(Value& value, const std::string& name, std::size_t& budget) const;
    Value valueOf(const Entry& entry, std::size_t& budget) const;

    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::size_t> last_;  ///< Key to index in entries_.
};

}  // namespace gridbridge::payload
