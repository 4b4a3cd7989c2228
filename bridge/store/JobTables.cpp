#include "bridge/store/JobTables.h"

#include <sqlite3.h>

#include "bridge/base/Check.h"
#include "bridge/store/Query.h"

namespace gridbridge::store {
namespace {

/// Order of `fields` and `jobOf`.
const std::string kJobFields =
    "runner, server_url, gitlab_id, project, ref, sha, name, stage, user, url, backend, account, "
    "state, outcome, failure_reason, exit_code, cancel, claimed_at, started_at, ended_at, "
    "reported_at, timeout_seconds, deadline_at, due_at, trace_length, trace_state, raw_offset, "
    "mask_mode, stop_cause, trace_lost";
const std::string kJobMarks = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?";
/// Order of `withFields` for a submission and of `submissionOf`.
const std::string kSubmissionFields =
    "key, remote_id, submitted_at, run, batch_state, reason, node, started_at, ended_at, cause, "
    "exit_code, signal, status, status_at, absent_since_at, cancel_at, released_at, "
    "elapsed_ms, cpu_ms, memory_bytes";
const std::string kSubmissionMarks = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?";

const std::string kSelectJob = "SELECT id, " + kJobFields + " FROM job ";
const std::string kSelectSubmission = "SELECT attempt, " + kSubmissionFields + " FROM submission ";

void withFields(Query& query, const JobRecord& job) {
    query.with(Required{job.runner}, Required{job.serverUrl}, job.gitlabId, job.project, job.ref,
               job.sha, job.name, job.stage, job.user, job.url, Required{job.backend}, job.account,
               nameOf(job.state), nameOf(job.outcome), job.failureReason, job.exitCode,
               nameOf(job.cancel), job.claimedAt, job.startedAt, job.endedAt, job.reportedAt,
               job.timeoutSeconds, job.deadline, job.dueAt, job.traceLength, nameOf(job.traceState),
               job.rawOffset, Required{job.maskMode}, job.stopCause, job.traceLost);
}

void withFields(Query& query, const SubmissionRecord& submission) {
    query.with(submission.key.value, submission.id.value, submission.submittedAt, submission.run,
               submission.batchState, submission.reason, submission.node, submission.startedAt,
               submission.endedAt, submission.cause, submission.exitCode, submission.signal,
               submission.status, submission.statusAt, submission.absentSince, submission.cancelAt,
               submission.releasedAt, submission.elapsedMs, submission.cpuMs,
               submission.memoryBytes);
}

State stateOf(const std::string& name) {
    const auto state = stateNamed(name);
    return state ? *state : named<State>({}, name);
}

JobRecord jobOf(Query& query) {
    JobRecord job;
    job.row = query.row();
    job.runner = query.text();
    job.serverUrl = query.text();
    job.gitlabId = query.maybeInteger();
    for (auto* field : {&job.project, &job.ref, &job.sha, &job.name, &job.stage, &job.user,
                        &job.url, &job.backend, &job.account}) {
        *field = query.text();
    }
    job.state = stateOf(query.text());
    job.outcome = named(
        {Outcome::None, Outcome::Success, Outcome::Failed, Outcome::Canceled, Outcome::Dropped},
        query.text());
    job.failureReason = query.text();
    job.exitCode = query.maybeNumber();
    job.cancel = named({Cancel::None, Cancel::Soft, Cancel::Hard}, query.text());
    job.claimedAt = query.time();
    job.startedAt = query.maybeTime();
    job.endedAt = query.maybeTime();
    job.reportedAt = query.maybeTime();
    job.timeoutSeconds = query.integer();
    job.deadline = query.maybeTime();
    job.dueAt = query.maybeTime();
    job.traceLength = query.integer();
    job.traceState =
        named({TraceState::Open, TraceState::Limited, TraceState::Complete}, query.text());
    job.rawOffset = query.integer();
    job.maskMode = query.text();
    job.stopCause = query.text();
    job.traceLost = query.integer();
    return job;
}

SubmissionRecord submissionOf(Query& query) {
    SubmissionRecord submission;
    submission.attempt = query.number();
    submission.key.value = query.text();
    submission.id.value = query.text();
    submission.submittedAt = query.maybeTime();
    submission.run = query.number();
    submission.batchState = query.text();
    submission.reason = query.text();
    submission.node = query.text();
    submission.startedAt = query.maybeTime();
    submission.endedAt = query.maybeTime();
    submission.cause = query.text();
    submission.exitCode = query.maybeNumber();
    submission.signal = query.maybeNumber();
    submission.status = query.text();
    submission.statusAt = query.maybeTime();
    submission.absentSince = query.maybeTime();
    submission.cancelAt = query.maybeTime();
    submission.releasedAt = query.maybeTime();
    submission.elapsedMs = query.maybeInteger();
    submission.cpuMs = query.maybeInteger();
    submission.memoryBytes = query.maybeInteger();
    return submission;
}

std::vector<JobRow> rowsOf(Query& query) {
    std::vector<JobRow> rows;
    while (query.next()) {
        rows.push_back(query.row());
    }
    return rows;
}

}  // namespace

// "state <> 'done'" stands in every question about open jobs, also where it looks needless: the
// indexes of open jobs hold only those rows and serve only questions that say so.
JobReads::JobReads(SQLite::Database& database)
    : database_(database),
      job_(database, kSelectJob + "WHERE id = ?"),
      byGitlabId_(database, kSelectJob + "WHERE gitlab_id = ? ORDER BY id"),
      lastSubmission_(database, kSelectSubmission + "WHERE job = ? ORDER BY attempt DESC LIMIT 1"),
      submissions_(database, kSelectSubmission + "WHERE job = ? ORDER BY attempt"),
      transitions_(database,
                   "SELECT at, from_state, to_state, cause FROM transition WHERE job = ? "
                   "ORDER BY id"),
      due_(database,
           "SELECT id, due_at FROM job WHERE state <> 'done' AND due_at <= ? UNION "
           "SELECT id, due_at FROM job WHERE state <> 'done' AND state = 'received' "
           "ORDER BY due_at, id"),
      nextDue_(database, "SELECT min(due_at) FROM job WHERE state <> 'done' AND due_at NOT NULL"),
      open_(database, "SELECT id FROM job WHERE state <> 'done' ORDER BY id"),
      loads_(database,
             "SELECT runner, backend, state, count(*) FROM job WHERE state <> 'done' "
             "GROUP BY state, runner, backend") {}

SubmissionRecord JobReads::lastSubmission(JobRow row) {
    Query query(lastSubmission_);
    return query.with(row).next() ? submissionOf(query) : SubmissionRecord{};
}

std::optional<JobRecord> JobReads::job(JobRow row) {
    Query query(job_);
    if (!query.with(row).next()) {
        return std::nullopt;
    }
    JobRecord record = jobOf(query);
    record.submission = lastSubmission(row);
    return record;
}

std::vector<JobRecord> JobReads::all(SQLite::Statement& statement) {
    Query query(statement);
    std::vector<JobRecord> records;
    while (query.next()) {
        records.push_back(jobOf(query));
        records.back().submission = lastSubmission(records.back().row);
    }
    return records;
}

std::vector<JobRecord> JobReads::jobs(const JobFilter& filter) {
    const bool finishedToo = filter.all || filter.state == State::Done;
    SQLite::Statement statement(
        database_, kSelectJob + (finishedToo ? "WHERE true" : "WHERE state <> 'done'") +
                       " AND ifnull(state = ?1, true) AND ifnull(backend = ?2, true)" +
                       " ORDER BY id");
    Query(statement).with(filter.state ? nameOf(*filter.state) : "", filter.backend);
    return all(statement);
}

std::vector<JobRecord> JobReads::byGitlabId(std::int64_t id) {
    Query(byGitlabId_).with(id);
    return all(byGitlabId_);
}

std::vector<SubmissionRecord> JobReads::submissions(JobRow row) {
    Query query(submissions_);
    query.with(row);
    std::vector<SubmissionRecord> found;
    while (query.next()) {
        found.push_back(submissionOf(query));
    }
    return found;
}

std::vector<Transition> JobReads::transitions(JobRow row) {
    Query query(transitions_);
    query.with(row);
    std::vector<Transition> found;
    while (query.next()) {
        auto& transition = found.emplace_back();
        transition.at = query.time();
        transition.from = query.text();
        transition.to = query.text();
        transition.cause = query.text();
    }
    return found;
}

std::vector<JobRow> JobReads::due(WallTime now) {
    Query query(due_);
    return rowsOf(query.with(now));
}

std::optional<WallTime> JobReads::nextDue() {
    Query query(nextDue_);
    return query.next() ? query.maybeTime() : std::nullopt;
}

std::vector<JobRow> JobReads::open() {
    Query query(open_);
    return rowsOf(query);
}

std::vector<Load> JobReads::loads() {
    Query query(loads_);
    std::vector<Load> found;
    while (query.next()) {
        auto& load = found.emplace_back();
        load.runner = query.text();
        load.backend = query.text();
        load.state = stateOf(query.text());
        load.jobs = query.integer();
    }
    return found;
}

std::vector<JobRow> JobReads::endedBefore(WallTime limit, std::size_t most) {
    SQLite::Statement select(database_,
                             "SELECT id FROM job WHERE state = 'done' AND "
                             "ifnull(ended_at, claimed_at) < ? "
                             "ORDER BY ifnull(ended_at, claimed_at) LIMIT ?");
    Query query(select);
    return rowsOf(query.with(limit, static_cast<std::int64_t>(most)));
}

JobWrites::JobWrites(SQLite::Database& database)
    : database_(database),
      insert_(database, "INSERT INTO job (" + kJobFields + ") VALUES (" + kJobMarks + ")"),
      update_(database, "UPDATE job SET (" + kJobFields + ") = (" + kJobMarks +
                            ") WHERE id = ? AND state = ?"),
      updateSubmission_(database, "UPDATE submission SET (" + kSubmissionFields + ") = (" +
                                      kSubmissionMarks + ") WHERE job = ? AND attempt = ?"),
      insertSubmission_(database, "INSERT INTO submission (" + kSubmissionFields +
                                      ", job, attempt) VALUES (" + kSubmissionMarks + ",?,?)"),
      note_(database,
            "INSERT INTO transition (job, at, from_state, to_state, cause) VALUES (?,?,?,?,?)"),
      insertSecret_(database, "INSERT INTO job_secret (job, payload) VALUES (?,?)"),
      secret_(database, "SELECT payload FROM job_secret WHERE job = ?"),
      deleteSecret_(database, "DELETE FROM job_secret WHERE job = ?") {}

JobRow JobWrites::insert(const std::string& runner, const std::string& serverUrl,
                         const std::string& backend, WallTime now) {
    JobRecord job;
    job.runner = runner;
    job.serverUrl = serverUrl;
    job.backend = backend;
    job.claimedAt = now;
    job.dueAt = now;
    Query query(insert_);
    withFields(query, job);
    query.run();
    return JobRow{database_.getLastInsertRowid()};
}

bool JobWrites::update(const JobRecord& to, State from) {
    Query query(update_);
    withFields(query, to);
    query.with(to.row, nameOf(from));
    try {
        return query.run() == 1;
    } catch (const SQLite::Exception& failure) {
        // A hostile or confused server gave one job twice. It fails this statement alone.
        if (failure.getExtendedErrorCode() == SQLITE_CONSTRAINT_UNIQUE) {
            return false;
        }
        throw;
    }
}

void JobWrites::save(JobRow job, const SubmissionRecord& submission) {
    BRIDGE_CHECK(!submission.key.value.empty());
    for (auto* statement : {&updateSubmission_, &insertSubmission_}) {
        Query query(*statement);
        withFields(query, submission);
        if (query.with(job, submission.attempt).run() == 1) {
            return;
        }
    }
}

void JobWrites::note(JobRow job, WallTime at, std::optional<State> from, State to,
                     std::string_view cause) {
    Query(note_).with(job, at, from ? nameOf(*from) : std::string_view{}, nameOf(to), cause).run();
}

void JobWrites::insertSecret(JobRow job, const std::string& sealed) {
    Query(insertSecret_).with(job, Blob{sealed}).run();
}

std::optional<std::string> JobWrites::secret(JobRow job) {
    Query query(secret_);
    return query.with(job).next() ? std::optional(query.text()) : std::nullopt;
}

void JobWrites::deleteSecret(JobRow job) {
    Query(deleteSecret_).with(job).run();
}

void JobWrites::erase(JobRow job) {
    SQLite::Statement erase(database_, "DELETE FROM job WHERE id = ? AND state = 'done'");
    Query(erase).with(job).run();
}

void JobWrites::shiftTimes(Millis by, JobRow last, WallTime now) {
    const std::string which =
        "state <> 'done' AND (id <= :last OR "
        "abs(claimed_at + :by - :now) < abs(claimed_at - :now))";
    for (const auto& change :
         {"UPDATE submission SET ended_at = ended_at + :by, status_at = status_at + :by, "
          "absent_since_at = absent_since_at + :by, cancel_at = cancel_at + :by "
          "WHERE job IN (SELECT id FROM job WHERE " +
              which + ")",
          "UPDATE job SET claimed_at = claimed_at + :by, deadline_at = deadline_at + :by, "
          "due_at = due_at + :by, ended_at = ended_at + :by WHERE " +
              which}) {
        SQLite::Statement shift(database_, change);
        shift.bind(":by", static_cast<std::int64_t>(by.count()));
        shift.bind(":last", static_cast<std::int64_t>(last));
        shift.bind(":now", static_cast<std::int64_t>(sinceEpoch(now).count()));
        shift.exec();
    }
}

}  // namespace gridbridge::store
