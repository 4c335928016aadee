-- A batch may hold streams of several kinds: the kind comes per append. The function of the first step stays, for processes
-- that were started before this one was applied.

-- One batch in one statement. The first six arrays have an element per append, the others one per event, in
-- order; `owners` says of which append it is, from 1. Appends whose stream is not where they expect it are left
-- out; `lost` counts them from 0. Without any other, nothing is written and `first_position` is null.
CREATE FUNCTION journal_append(
  own_fence bigint, expected_journal text, known_position bigint,
  kinds text[], streams text[], expected bigint[], commands text[], tenants text[], metadatas text[],
  owners integer[], types text[], versions text[], payloads text[], leaves bytea[],
  OUT first_position bigint, OUT recorded_at bigint, OUT lost integer[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  head journal_head;
  now_at bigint;
  added bigint;
  joined bytea;
  next_hash bytea;
BEGIN
  -- Whatever the role, the database or a pooler's session says: an answer means that it is on disk.
  PERFORM set_config('synchronous_commit', 'on', true);
  head := journal_lock(expected_journal, known_position);
  PERFORM 1 FROM journal_fences WHERE fence = own_fence;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this writer was fenced off' USING ERRCODE = 'ZL004';
  END IF;

  -- A subquery per stream is one look into the primary key, whatever the planner thinks of the array's length.
  SELECT coalesce(array_agg((a.at - 1)::integer ORDER BY a.at), '{}') INTO lost
    FROM unnest(kinds, streams, expected) WITH ORDINALITY AS a (kind, stream, expected_sequence, at)
   WHERE a.expected_sequence <> coalesce(
           (SELECT max(e.sequence) FROM events e WHERE e.aggregate_type = a.kind AND e.aggregate_id = a.stream), 0);
  IF cardinality(lost) = cardinality(streams) THEN
    RETURN;
  END IF;

  now_at := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, head.recorded_at);
  INSERT INTO events (position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id,
                      sequence, event_type, event_version, payload, metadata)
  SELECT head.position + row_number() OVER (ORDER BY r.at), head.commit_id + 1, now_at, r.leaf, a.tenant, a.command,
         a.kind, a.stream, a.expected_sequence + row_number() OVER (PARTITION BY a.at ORDER BY r.at), r.type, r.version,
         r.payload::json, a.metadata::json
    FROM unnest(kinds, streams, expected, commands, tenants, metadatas)
           WITH ORDINALITY AS a (kind, stream, expected_sequence, command, tenant, metadata, at)
    JOIN unnest(owners, types, versions, payloads, leaves)
           WITH ORDINALITY AS r (owner, type, version, payload, leaf, at) ON r.owner = a.at
   WHERE a.at - 1 <> ALL (lost)
   ORDER BY r.at;
  GET DIAGNOSTICS added = ROW_COUNT;

  INSERT INTO event_versions (event_type, event_version)
  SELECT DISTINCT r.type, r.version FROM unnest(owners, types, versions) AS r (owner, type, version)
   WHERE r.owner - 1 <> ALL (lost)
     AND NOT EXISTS (SELECT 1 FROM event_versions v WHERE v.event_type = r.type AND v.event_version = r.version);

  SELECT string_agg(r.leaf, ''::bytea ORDER BY r.at) INTO joined
    FROM unnest(owners, leaves) WITH ORDINALITY AS r (owner, leaf, at) WHERE r.owner - 1 <> ALL (lost);
  next_hash := sha256(convert_to(E'zeroload commit 1\n', 'UTF8') || head.hash || int8send(head.commit_id + 1)
                      || int8send(head.position + 1) || int8send(added) || int8send(now_at) || joined);
  INSERT INTO commits (commit_id, first_position, event_count, recorded_at, hash)
  VALUES (head.commit_id + 1, head.position + 1, added, now_at, next_hash);
  UPDATE journal_head
     SET position = head.position + added, commit_id = head.commit_id + 1, recorded_at = now_at, hash = next_hash;
  first_position := head.position + 1;
  recorded_at := now_at;
END $$;

REVOKE ALL ON FUNCTION journal_append(bigint, text, bigint, text[], text[], bigint[], text[], text[], text[], integer[],
                                      text[], text[], text[], bytea[]) FROM PUBLIC;

-- Whoever may call the one may call the other.
DO $$
DECLARE
  right_given record;
BEGIN
  FOR right_given IN
    SELECT given.grantee::regrole::text AS grantee
    FROM pg_proc p
    CROSS JOIN LATERAL aclexplode(p.proacl) given
    WHERE p.oid = to_regprocedure('journal_append(bigint,text,bigint,text,text[],bigint[],text[],text[],text[],'
                                  || 'integer[],text[],text[],text[],bytea[])')
      AND given.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION journal_append(bigint, text, bigint, text[], text[], bigint[], text[], text[],
                    text[], integer[], text[], text[], text[], bytea[]) TO %s', right_given.grantee);
  END LOOP;
END
$$;
