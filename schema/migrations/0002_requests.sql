-- What people ask of the service with commands, and what they have asked so far.

CREATE TABLE request (
    id         INTEGER PRIMARY KEY,
    command    TEXT NOT NULL CHECK (command IN ('cancel', 'drain', 'resume')),
    job        INTEGER REFERENCES job (id) ON DELETE CASCADE,
    runner     TEXT,
    asked_at   INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'done', 'refused')),
    settled_at INTEGER,
    result     TEXT
) STRICT;
CREATE INDEX request_open ON request (id) WHERE state = 'open';
CREATE INDEX request_of_job ON request (job) WHERE job NOT NULL;

ALTER TABLE runner ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));
ALTER TABLE job ADD COLUMN stop_cause TEXT;
