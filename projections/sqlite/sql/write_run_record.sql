-- One row. An end replaces what is there, and a beginning never does.
INSERT INTO run_records_v{version} (
  run_id, caller, started_at, ended_at, due, collected, absent, in_use, failed, unknown, bytes_freed, more, reasons,
  failures, broken_off, first_position, position, trashed)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
ON CONFLICT (run_id) DO UPDATE SET
  caller         = excluded.caller,
  started_at     = excluded.started_at,
  ended_at       = excluded.ended_at,
  due            = excluded.due,
  collected      = excluded.collected,
  absent         = excluded.absent,
  in_use         = excluded.in_use,
  failed         = excluded.failed,
  unknown        = excluded.unknown,
  bytes_freed    = excluded.bytes_freed,
  more           = excluded.more,
  reasons        = excluded.reasons,
  failures       = excluded.failures,
  broken_off     = excluded.broken_off,
  position       = excluded.position,
  trashed        = excluded.trashed
WHERE excluded.ended_at IS NOT NULL
