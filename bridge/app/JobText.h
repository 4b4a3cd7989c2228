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
    std::vector<store::Request> requests;
};

/// A table with a header line; hostile names are made printable. A job whose id is not known is
/// named by its key.
std::string jobTable(const std::vector<store::JobRecord>& jobs,
                     const store::Installation& installation);
/// Everything known of one job.
std::string jobPage(const JobHistory& history);

/// An array of objects; the keys are the columns of the database, times UTC, what is not known is
/// null.
std::string jobsJson(const std::vector<store::JobRecord>& jobs);
/// One such object with `key`, `submissions`, `transitions` and `requests`.
std::string jobJson(const JobHistory& history);

}  // namespace gridbridge::app
