-- Which run of an inspector looks at the items of a bucket, so that several processes do not look at the same ones; not a
-- projection. A turn is a hint and no lock, and after a crash of the server nobody has one: hence no log.
CREATE UNLOGGED TABLE IF NOT EXISTS inspection_turns
(
  store      TEXT COLLATE "C" NOT NULL,
  bucket     TEXT COLLATE "C" NOT NULL,
  inspection TEXT COLLATE "C" NOT NULL,
  run_id     TEXT COLLATE "C" NOT NULL,
  held_until TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (store, bucket, inspection)
);
