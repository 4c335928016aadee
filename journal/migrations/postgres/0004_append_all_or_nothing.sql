-- An append where nothing is lost, which is nearly every one, costs three statements and moves the head with the one that
-- locks it. What this function cannot append whole is for `journal_append`, which finds out what is lost. The functions of
-- earlier steps stay.

-- A condition of the trigger costs less than a call.
CREATE OR REPLACE TRIGGER journal_head_goes_forward BEFORE UPDATE ON journal_head FOR EACH ROW
  WHEN (NEW.journal_id <> OLD.journal_id OR NEW.position <= OLD.position OR NEW.commit_id <> OLD.commit_id + 1)
  EXECUTE FUNCTION journal_head_goes_forward();

-- One batch in one statement, all of it or none. The arrays from `kinds` to `leaves` have an element per event, in order.
-- `known_*` are the streams that should exist already and their last sequences. `new_*` are types that this writer has not
-- yet written. `joined` are all leaves in one.
--
-- A stream that is not where it should be is ZL007, or 23505 where an event stands in the place of a new one.
CREATE FUNCTION journal_append_all(
  own_fence bigint, expected_journal text, known_position bigint,
  known_kinds text[], known_streams text[], known_sequences bigint[],
  new_types text[], new_versions text[],
  kinds text[], streams text[], sequences bigint[], types text[], versions text[], payloads text[], metadatas text[],
  tenants text[], commands text[], leaves bytea[], joined bytea,
  OUT first_position bigint, OUT recorded_at bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  head journal_head;
  added bigint := cardinality(streams);
  inserted bigint;
  now_at bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  -- An assignment costs less than PERFORM.
  setting text;
BEGIN
  -- Whatever the role, the database or a pooler's session says: an answer means that it is on disk.
  setting := set_config('synchronous_commit', 'on', true);
  -- The mark that the journal is appended to by one of its functions.
  setting := set_config('zeroload.appending', 'yes', true);

  -- Locks the head, and sees it as whoever had locked it has left it; so does each statement after it.
  UPDATE journal_head AS h
     SET position = h.position + added, commit_id = h.commit_id + 1, recorded_at = greatest(now_at, h.recorded_at),
         hash = sha256(convert_to(E'zeroload commit 1\n', 'UTF8') || h.hash || int8send(h.commit_id + 1)
                       || int8send(h.position + 1) || int8send(added) || int8send(greatest(now_at, h.recorded_at))
                       || joined)
  RETURNING * INTO head;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the journal has no head' USING ERRCODE = 'ZL002';
  END IF;
  first_position := head.position - added + 1;
  recorded_at := head.recorded_at;
  IF head.journal_id <> expected_journal THEN
    RAISE EXCEPTION 'this is journal %, not %', head.journal_id, expected_journal USING ERRCODE = 'ZL006';
  END IF;
  IF first_position <= known_position THEN
    RAISE EXCEPTION 'the journal ends at position %, it had reached %', first_position - 1, known_position
      USING ERRCODE = 'ZL005';
  END IF;

  -- A subquery per stream is one look into the primary key, whatever the planner thinks of the array's length.
  IF cardinality(known_streams) > 0 THEN
    IF EXISTS (
      SELECT FROM unnest(known_kinds, known_streams, known_sequences) AS a (kind, stream, sequence)
       WHERE a.sequence <> coalesce(
               (SELECT max(e.sequence) FROM events e WHERE e.aggregate_type = a.kind AND e.aggregate_id = a.stream), 0))
    THEN
      RAISE EXCEPTION 'a stream has moved on' USING ERRCODE = 'ZL007';
    END IF;
  END IF;

  INSERT INTO commits (commit_id, first_position, event_count, recorded_at, hash)
  VALUES (head.commit_id, first_position, added, head.recorded_at, head.hash);
  INSERT INTO events (position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id,
                      sequence, event_type, event_version, payload, metadata)
  SELECT head.position - added + r.at, head.commit_id, head.recorded_at, r.leaf, r.tenant, r.command, r.kind, r.stream,
         r.sequence, r.type, r.version, r.payload::json, r.metadata::json
    FROM unnest(kinds, streams, sequences, types, versions, payloads, metadatas, tenants, commands, leaves)
           WITH ORDINALITY AS r (kind, stream, sequence, type, version, payload, metadata, tenant, command, leaf, at)
   WHERE EXISTS (SELECT FROM journal_fences WHERE fence = own_fence);
  GET DIAGNOSTICS inserted = ROW_COUNT;
  IF inserted <> added THEN
    RAISE EXCEPTION 'this writer was fenced off' USING ERRCODE = 'ZL004';
  END IF;

  IF cardinality(new_types) > 0 THEN
    INSERT INTO event_versions (event_type, event_version)
    SELECT r.type, r.version FROM unnest(new_types, new_versions) AS r (type, version)
     WHERE NOT EXISTS (SELECT FROM event_versions v WHERE v.event_type = r.type AND v.event_version = r.version);
  END IF;
  setting := set_config('zeroload.appending', '', true);
END $$;

REVOKE ALL ON FUNCTION journal_append_all(
  bigint, text, bigint, text[], text[], bigint[], text[], text[], text[], text[], bigint[], text[], text[], text[],
  text[], text[], text[], bytea[], bytea) FROM PUBLIC;

-- Whoever may call the one may call the other.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT given.grantee::regrole::text
      FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) given
     WHERE p.oid = to_regprocedure('journal_append(bigint,text,bigint,boolean,text[],text[],bigint[],integer[],text[],'
                                   || 'text[],text[],text[],bigint[],text[],text[],text[],text[],text[],text[],bytea[],'
                                   || 'integer[],bytea)')
       AND given.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION journal_append_all(
      bigint, text, bigint, text[], text[], bigint[], text[], text[], text[], text[], bigint[], text[], text[], text[],
      text[], text[], text[], bytea[], bytea) TO %s', grantee);
  END LOOP;
END $$;
