-- An append whose streams are where they should be costs one insert, one commit row and one head: what can be known
-- before the head is locked comes with the call. The functions of earlier steps stay, for processes
-- that were started before this one was applied.

-- Whoever appends has locked the head. The mark ends with the transaction, or with the append.
CREATE OR REPLACE FUNCTION journal_lock(expected_journal text, known_position bigint) RETURNS journal_head
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  head journal_head;
BEGIN
  SELECT * INTO head FROM journal_head FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the journal has no head' USING ERRCODE = 'ZL002';
  END IF;
  IF head.journal_id <> expected_journal THEN
    RAISE EXCEPTION 'this is journal %, not %', head.journal_id, expected_journal USING ERRCODE = 'ZL006';
  END IF;
  IF head.position < known_position THEN
    RAISE EXCEPTION 'the journal ends at position %, it had reached %', head.position, known_position
      USING ERRCODE = 'ZL005';
  END IF;
  PERFORM set_config('zeroload.appending', 'yes', true);
  RETURN head;
END $$;

-- In place of a look at the new rows, which cost more than their insert: nothing but the functions inserts.
CREATE OR REPLACE FUNCTION journal_only_appends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('zeroload.appending', true) IS DISTINCT FROM 'yes' THEN
    RAISE EXCEPTION 'the journal is append-only: % on % only by journal_append', TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'ZL001';
  END IF;
  RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS events_follow ON events;
DROP FUNCTION IF EXISTS journal_events_follow();
CREATE OR REPLACE TRIGGER events_only_by_appends BEFORE INSERT ON events
  FOR EACH STATEMENT EXECUTE FUNCTION journal_only_appends();
DROP TRIGGER IF EXISTS commits_follow ON commits;
DROP FUNCTION IF EXISTS journal_commit_follows();
CREATE OR REPLACE TRIGGER commits_only_by_appends BEFORE INSERT ON commits
  FOR EACH STATEMENT EXECUTE FUNCTION journal_only_appends();

-- One batch in one statement. The arrays from `kinds` to `leaves` have an element per event, in order; `owners` says of
-- which append it is, from 0, and `sequences` its place in its stream. `known_*` are the streams that should exist
-- already, their last sequences and their appends: one that is elsewhere is left out. With `all_streams` also new
-- streams are looked up; without, one that is there already fails the whole batch with 23505, and the caller comes
-- again. `new_*` are types that this writer has not yet written. `joined` are all leaves in one.
--
-- `lost` names the appends that were left out. Where it is all of them, nothing is written and `first_position` is null.
CREATE FUNCTION journal_append(
  own_fence bigint, expected_journal text, known_position bigint, all_streams boolean,
  known_kinds text[], known_streams text[], known_sequences bigint[], known_owners integer[],
  new_types text[], new_versions text[],
  kinds text[], streams text[], sequences bigint[], types text[], versions text[], payloads text[], metadatas text[],
  tenants text[], commands text[], leaves bytea[], owners integer[], joined bytea,
  OUT first_position bigint, OUT recorded_at bigint, OUT lost integer[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  head journal_head;
  now_at bigint;
  added bigint := cardinality(streams);
  next_hash bytea;
BEGIN
  -- Whatever the role, the database or a pooler's session says: an answer means that it is on disk.
  PERFORM set_config('synchronous_commit', 'on', true);
  head := journal_lock(expected_journal, known_position);
  IF NOT EXISTS (SELECT FROM journal_fences WHERE fence = own_fence) THEN
    RAISE EXCEPTION 'this writer was fenced off' USING ERRCODE = 'ZL004';
  END IF;

  lost := '{}';
  -- A subquery per stream is one look into the primary key, whatever the planner thinks of the array's length.
  IF cardinality(known_streams) > 0 THEN
    SELECT coalesce(array_agg(a.owner ORDER BY a.owner), '{}') INTO lost
      FROM unnest(known_kinds, known_streams, known_sequences, known_owners) AS a (kind, stream, sequence, owner)
     WHERE a.sequence <> coalesce(
             (SELECT max(e.sequence) FROM events e WHERE e.aggregate_type = a.kind AND e.aggregate_id = a.stream), 0);
  END IF;
  IF all_streams THEN
    SELECT lost || coalesce(array_agg(a.owner ORDER BY a.owner), '{}') INTO lost
      FROM unnest(kinds, streams, sequences, owners) AS a (kind, stream, sequence, owner)
     WHERE a.sequence = 1
       AND EXISTS (SELECT FROM events e WHERE e.aggregate_type = a.kind AND e.aggregate_id = a.stream);
  END IF;

  now_at := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, head.recorded_at);
  IF cardinality(lost) = 0 THEN
    INSERT INTO events (position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id,
                        sequence, event_type, event_version, payload, metadata)
    SELECT head.position + r.at, head.commit_id + 1, now_at, r.leaf, r.tenant, r.command, r.kind, r.stream, r.sequence,
           r.type, r.version, r.payload::json, r.metadata::json
      FROM unnest(kinds, streams, sequences, types, versions, payloads, metadatas, tenants, commands, leaves)
             WITH ORDINALITY AS r (kind, stream, sequence, type, version, payload, metadata, tenant, command, leaf, at);
  ELSE
    INSERT INTO events (position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id,
                        sequence, event_type, event_version, payload, metadata)
    SELECT head.position + row_number() OVER (ORDER BY r.at), head.commit_id + 1, now_at, r.leaf, r.tenant, r.command,
           r.kind, r.stream, r.sequence, r.type, r.version, r.payload::json, r.metadata::json
      FROM unnest(kinds, streams, sequences, types, versions, payloads, metadatas, tenants, commands, leaves, owners)
             WITH ORDINALITY
             AS r (kind, stream, sequence, type, version, payload, metadata, tenant, command, leaf, owner, at)
     WHERE r.owner <> ALL (lost)
     ORDER BY r.at;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added = 0 THEN
      PERFORM set_config('zeroload.appending', '', true);
      RETURN;
    END IF;
    SELECT string_agg(r.leaf, ''::bytea ORDER BY r.at) INTO joined
      FROM unnest(owners, leaves) WITH ORDINALITY AS r (owner, leaf, at) WHERE r.owner <> ALL (lost);
  END IF;

  IF cardinality(new_types) > 0 THEN
    -- Of what was left out a type may be named that no event has yet: a reader that knows it loses nothing by it.
    INSERT INTO event_versions (event_type, event_version)
    SELECT r.type, r.version FROM unnest(new_types, new_versions) AS r (type, version)
     WHERE NOT EXISTS (SELECT FROM event_versions v WHERE v.event_type = r.type AND v.event_version = r.version);
  END IF;

  next_hash := sha256(convert_to(E'zeroload commit 1\n', 'UTF8') || head.hash || int8send(head.commit_id + 1)
                      || int8send(head.position + 1) || int8send(added) || int8send(now_at) || joined);
  INSERT INTO commits (commit_id, first_position, event_count, recorded_at, hash)
  VALUES (head.commit_id + 1, head.position + 1, added, now_at, next_hash);
  UPDATE journal_head
     SET position = head.position + added, commit_id = head.commit_id + 1, recorded_at = now_at, hash = next_hash;
  PERFORM set_config('zeroload.appending', '', true);
  first_position := head.position + 1;
  recorded_at := now_at;
END $$;

REVOKE ALL ON FUNCTION journal_append(
  bigint, text, bigint, boolean, text[], text[], bigint[], integer[], text[], text[], text[], text[], bigint[], text[],
  text[], text[], text[], text[], text[], bytea[], integer[], bytea) FROM PUBLIC;

-- Whoever may call the one may call the other.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT given.grantee::regrole::text
      FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) given
     WHERE p.oid = to_regprocedure('journal_append(bigint,text,bigint,text[],text[],bigint[],text[],text[],text[],'
                                   || 'integer[],text[],text[],text[],bytea[])')
       AND given.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION journal_append(
      bigint, text, bigint, boolean, text[], text[], bigint[], integer[], text[], text[], text[], text[], bigint[],
      text[], text[], text[], text[], text[], text[], bytea[], integer[], bytea) TO %s', grantee);
  END LOOP;
END $$;
