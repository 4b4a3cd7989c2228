-- After a power failure the file of a trace may be shorter than was committed.

ALTER TABLE job ADD COLUMN trace_lost INTEGER NOT NULL DEFAULT 0;
