-- What readers see: the live version, under a name that stays.
CREATE VIEW run_records AS
SELECT run_id, caller, started_at, ended_at, due, collected, absent, in_use, failed, unknown, bytes_freed, more, reasons,
       failures, broken_off, first_position, position, trashed
FROM run_records_v{version};
