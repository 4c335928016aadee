-- One version of activity: one row per minute (UTC), all tenants together. The meaning of each column is documented at
-- Minute. A minute in which nothing is left to count may be missing or hold zeros.
CREATE TABLE activity_v{version}
(
  minute    TEXT    NOT NULL PRIMARY KEY, -- 2026-11-22T08:42
  requested INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  open      INTEGER NOT NULL,
  kept      INTEGER NOT NULL,
  expired   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
