#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bridge/core/Decision.h"
#include "bridge/folder/JobFolders.h"
#include "tests/fakegitlab/Types.h"

namespace gridbridge::simulation {

/// A bug of the service, planted from outside: a decision that is changed, or an answer that is
/// falsified between the core and its world, as wrong code there would do it. This one is none.
class Defect {
public:
    virtual ~Defect() = default;

    virtual core::Decision decide(const store::JobRecord& job, const core::Facts& facts,
                                  WallTime now, const core::Policy& policy) {
        return core::decide(job, facts, now, policy);
    }
    /// What the service makes of a request to GitLab: an answer that GitLab never gave, or nothing.
    virtual std::optional<fakegitlab::Reply> request(const fakegitlab::Request&) {
        return std::nullopt;
    }
    virtual Result<std::vector<FoundJob>> found(Result<std::vector<FoundJob>> real) { return real; }
    virtual Result<std::vector<Observation>> observed(std::span<const JobRef>,
                                                      Result<std::vector<Observation>> real) {
        return real;
    }
    virtual Result<LogChunk> read(Result<LogChunk> real) { return real; }
    /// What the loader on a node makes of the start marker.
    virtual Result<folder::MarkOutcome> marked(Result<folder::MarkOutcome> real) { return real; }
    /// What the service makes of it.
    virtual Result<folder::MarkOutcome> taken(const folder::FolderRef&,
                                              Result<folder::MarkOutcome> real) {
        return real;
    }
    /// The service starts on the database it left.
    virtual void restarted(const std::filesystem::path& /*database*/) {}
};

struct PlantedBug {
    std::string name;
    std::string invariant;  ///< That catches it.
    std::unique_ptr<Defect> (*plant)();
};
const std::vector<PlantedBug>& plantedBugs();

}  // namespace gridbridge::simulation
