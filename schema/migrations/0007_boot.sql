-- How the clock stood: whether it was set while the service was down, or could not write, is seen at its next start.

ALTER TABLE installation ADD COLUMN boot_id TEXT;
ALTER TABLE installation ADD COLUMN booted_at INTEGER;
