-- What no run had counted: none of those that have ended told of a trash.
ALTER TABLE run_records_v{version} ADD COLUMN IF NOT EXISTS trashed BIGINT;
UPDATE run_records_v{version} SET trashed = 0 WHERE ended_at IS NOT NULL;
