#pragma once

#include <string>
#include <vector>

#include "bridge/store/JobRecord.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

/// One job with its past, for people and programs.
struct JobHistory {
    std::string key;  ///< store::jobKey
    store::JobRecord job;
    std::vector<store::SubmissionRecord> submissions;
    std::vector<store::Transition> transitions;
};

/// A table with a header line; hostile names are made printable.
std::string jobTable(const std::vector<store::JobRecord>& jobs);
/// Everything known of one job.
std::string jobPage(const JobHistory& history);

/// An array of objects; the keys are the columns of the database, times UTC, what is not known is
/// null.
std::string jobsJson(const std::vector<store::JobRecord>& jobs);
/// One such object with `key`, `submissions` and `transitions`.
std::string jobJson(const JobHistory& history);

}  // namespace gridbridge::app
