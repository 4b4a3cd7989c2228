-- What the batch job used, where the batch system says it.

ALTER TABLE submission ADD COLUMN elapsed_ms INTEGER;
ALTER TABLE submission ADD COLUMN cpu_ms INTEGER;
ALTER TABLE submission ADD COLUMN memory_bytes INTEGER;
