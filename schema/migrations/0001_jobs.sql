-- Times are integers: milliseconds since 1970-01-01 UTC. A text that is not known is NULL.
-- schema/README.md explains every table and column.

CREATE TABLE installation (
    only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
    id             TEXT NOT NULL CHECK (length(id) = 8 AND id NOT GLOB '*[^a-z0-9]*'),
    schema_version INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE runner (
    name            TEXT PRIMARY KEY,
    server_url      TEXT NOT NULL,
    gitlab_id       INTEGER,
    system_id       TEXT,
    last_contact_at INTEGER,
    health          TEXT
) STRICT;

-- AUTOINCREMENT: a row number is part of keys that must stay unique for ever.
CREATE TABLE job (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    runner          TEXT NOT NULL,
    server_url      TEXT NOT NULL,
    gitlab_id       INTEGER,
    project         TEXT,
    ref             TEXT,
    sha             TEXT,
    name            TEXT,
    stage           TEXT,
    user            TEXT,
    url             TEXT,
    backend         TEXT NOT NULL,
    account         TEXT,
    state           TEXT NOT NULL CHECK (state IN ('received', 'claimed', 'submitting', 'queued',
                                                   'running', 'collecting', 'reporting', 'done')),
    outcome         TEXT CHECK (outcome IN ('success', 'failed', 'canceled', 'dropped')),
    failure_reason  TEXT,
    exit_code       INTEGER,
    cancel          TEXT NOT NULL CHECK (cancel IN ('none', 'soft', 'hard')),
    claimed_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    reported_at     INTEGER,
    timeout_seconds INTEGER NOT NULL,
    deadline_at     INTEGER,
    due_at          INTEGER,
    trace_length    INTEGER NOT NULL,
    trace_state     TEXT NOT NULL CHECK (trace_state IN ('open', 'limited', 'complete')),
    raw_offset      INTEGER NOT NULL,
    mask_mode       TEXT NOT NULL,
    UNIQUE (gitlab_id, server_url)
) STRICT;
CREATE INDEX job_open ON job (id) WHERE state <> 'done';
CREATE INDEX job_load ON job (state, runner, backend) WHERE state <> 'done';
CREATE INDEX job_due ON job (due_at) WHERE state <> 'done';
CREATE INDEX job_failed ON job (id) WHERE outcome = 'failed';

CREATE TABLE job_secret (
    job     INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE submission (
    job             INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    attempt         INTEGER NOT NULL CHECK (attempt > 0),
    key             TEXT NOT NULL UNIQUE,
    remote_id       TEXT,
    submitted_at    INTEGER,
    run             INTEGER NOT NULL,
    batch_state     TEXT,
    reason          TEXT,
    node            TEXT,
    started_at      INTEGER,
    ended_at        INTEGER,
    cause           TEXT,
    exit_code       INTEGER,
    signal          INTEGER,
    status          TEXT,
    status_at       INTEGER,
    absent_since_at INTEGER,
    cancel_at       INTEGER,
    released_at     INTEGER,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE transition (
    id         INTEGER PRIMARY KEY,
    job        INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    from_state TEXT,
    to_state   TEXT NOT NULL,
    cause      TEXT
) STRICT;
CREATE INDEX transition_of_job ON transition (job, id);

CREATE VIEW job_overview AS
SELECT 'gb-' || installation.id || '-' || job.id         AS job,
       job.gitlab_id                                     AS gitlab_job,
       job.runner, job.project, job.ref, job.stage, job.name, job.user,
       job.state, job.outcome, job.failure_reason, job.exit_code, job.cancel,
       job.backend, job.account,
       submission.attempt, submission.key                AS submission,
       submission.remote_id, submission.batch_state, submission.reason, submission.node,
       datetime(job.claimed_at / 1000, 'unixepoch')          AS claimed,
       datetime(submission.submitted_at / 1000, 'unixepoch') AS submitted,
       datetime(job.started_at / 1000, 'unixepoch')          AS started,
       datetime(job.ended_at / 1000, 'unixepoch')            AS ended,
       datetime(job.reported_at / 1000, 'unixepoch')         AS reported,
       datetime(job.deadline_at / 1000, 'unixepoch')         AS deadline,
       job.trace_length AS trace_bytes, job.trace_state, job.url
  FROM job
  CROSS JOIN installation
  LEFT JOIN submission ON submission.job = job.id
        AND submission.attempt = (SELECT max(attempt) FROM submission AS s WHERE s.job = job.id);

CREATE VIEW open_jobs AS
SELECT 'gb-' || installation.id || '-' || job.id         AS job,
       job.gitlab_id                                     AS gitlab_job,
       job.project, job.name, job.user, job.state,
       datetime((SELECT at FROM transition WHERE transition.job = job.id
                  ORDER BY id DESC LIMIT 1) / 1000, 'unixepoch') AS since,
       job.cancel, job.backend,
       submission.attempt, submission.remote_id, submission.batch_state, submission.reason,
       submission.node,
       datetime(job.claimed_at / 1000, 'unixepoch')      AS claimed,
       datetime(job.deadline_at / 1000, 'unixepoch')     AS deadline,
       datetime(job.due_at / 1000, 'unixepoch')          AS due
  FROM job
  CROSS JOIN installation
  LEFT JOIN submission ON submission.job = job.id
        AND submission.attempt = (SELECT max(attempt) FROM submission AS s WHERE s.job = job.id)
 WHERE job.state <> 'done'
 ORDER BY job.id;

CREATE VIEW recent_failures AS
SELECT 'gb-' || installation.id || '-' || job.id         AS job,
       job.gitlab_id                                     AS gitlab_job,
       job.project, job.name, job.user, job.failure_reason, job.exit_code,
       (SELECT cause FROM transition WHERE transition.job = job.id AND cause IS NOT NULL
         ORDER BY id DESC LIMIT 1)                       AS last_cause,
       job.backend, submission.node, submission.cause    AS batch_cause,
       datetime(job.ended_at / 1000, 'unixepoch')        AS ended, job.url
  FROM job
  CROSS JOIN installation
  LEFT JOIN submission ON submission.job = job.id
        AND submission.attempt = (SELECT max(attempt) FROM submission AS s WHERE s.job = job.id)
 WHERE job.outcome = 'failed'
 ORDER BY job.id DESC
 LIMIT 100;

CREATE VIEW backend_load AS
SELECT backend, runner,
       count(*)                                                    AS open,
       sum(state IN ('received', 'claimed', 'submitting'))         AS waiting_here,
       sum(state = 'queued')                                       AS queued,
       sum(state = 'running')                                      AS running,
       sum(state IN ('collecting', 'reporting'))                   AS finishing,
       datetime(min(claimed_at) / 1000, 'unixepoch')               AS oldest_claim
  FROM job
 WHERE state <> 'done'
 GROUP BY backend, runner;
