-- What runs of collectors are at, so that several processes do not work on the same items; not a projection. Rows live for
-- seconds, and after a crash of the server nobody holds anything: hence no log. A row without done_position is being worked
-- on; one with it counts until the read models have come to that position, before which they would offer its items again.
CREATE UNLOGGED TABLE IF NOT EXISTS collection_pages
(
  run_id        TEXT COLLATE "C" NOT NULL,
  page          BIGINT NOT NULL,
  media_ids     TEXT[] COLLATE "C" NOT NULL,
  held_until    TIMESTAMPTZ NOT NULL,
  done_position BIGINT,
  PRIMARY KEY (run_id, page)
);
