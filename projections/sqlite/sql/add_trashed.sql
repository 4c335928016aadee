-- What no run had counted: none of those that have ended told of a trash.
ALTER TABLE run_records_v{version} ADD COLUMN trashed INTEGER;
UPDATE run_records_v{version} SET trashed = 0 WHERE ended_at IS NOT NULL;
