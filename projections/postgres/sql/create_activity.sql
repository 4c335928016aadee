-- One version of activity: one row per minute (UTC), all tenants together. The meaning of each column is documented at
-- Minute. A minute in which nothing is left to count may be missing or hold zeros.
CREATE TABLE activity_v{version}
(
  minute    TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- 2026-11-22T08:42
  requested BIGINT NOT NULL,
  confirmed BIGINT NOT NULL,
  open      BIGINT NOT NULL,
  kept      BIGINT NOT NULL,
  expired   BIGINT NOT NULL
);
