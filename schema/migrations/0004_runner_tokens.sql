-- Runner tokens with an end, and those that the service has renewed itself. What GitLab gave last
-- is here before it is used, and the configured one it descends from: a token that an
-- administrator writes into the configuration wins.
CREATE TABLE runner_token (
    runner      TEXT PRIMARY KEY,
    configured  BLOB NOT NULL,
    token       BLOB NOT NULL,
    obtained_at INTEGER NOT NULL,
    asked_at    INTEGER
) STRICT;
