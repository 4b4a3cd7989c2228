-- Finished jobs by their age, for `retention`.

CREATE INDEX job_finished ON job (ifnull(ended_at, claimed_at)) WHERE state = 'done';
