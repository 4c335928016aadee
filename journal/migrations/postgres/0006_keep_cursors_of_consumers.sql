-- The cursors of stored consumers. The lease is a row's, not a session's, so that no pooler can lose it.
CREATE TABLE IF NOT EXISTS journal_consumers
(
  name         text COLLATE "C" NOT NULL PRIMARY KEY,
  position     bigint           NOT NULL CHECK (position >= 0), -- the last event that was consumed
  commit_id    bigint,           -- the latest commit known to begin at or before it
  commit_hash  bytea,            -- SHA-256 of that commit
  lease_holder text COLLATE "C", -- UUID of the process that is at it
  lease_until  bigint,           -- µs since 1970-01-01T00:00:00Z, by this database's clock
  paused       boolean          NOT NULL,
  failure      text COLLATE "C", -- why the last turn failed
  updated_at   bigint           NOT NULL -- µs
);

-- Whoever may append may keep cursors.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT given.grantee::regrole::text
      FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) given
     WHERE p.oid = to_regprocedure('journal_append_all(bigint,text,bigint,text[],text[],bigint[],text[],text[],'
                                   || 'journal_new_event[],bytea)')
       AND given.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON journal_consumers TO %s', grantee);
  END LOOP;
END $$;
