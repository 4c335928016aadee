-- The seven columns of a cqrs-es event table keep their names and types, so that its tools can read ours; six
-- more stand before them. `json` keeps the text as it was given, `jsonb` would not. Keys compare byte by byte.
CREATE TABLE events
(
  position       bigint           NOT NULL UNIQUE,
  commit_id      bigint           NOT NULL,
  recorded_at    bigint           NOT NULL, -- µs since 1970-01-01T00:00:00Z, by this database's clock
  leaf_hash      bytea            NOT NULL, -- SHA-256, 32 bytes
  tenant         text COLLATE "C" NOT NULL,
  command_id     text COLLATE "C" NOT NULL, -- hyphenated lower-case UUID
  aggregate_type text COLLATE "C" NOT NULL,
  aggregate_id   text COLLATE "C" NOT NULL, -- hyphenated lower-case UUID
  sequence       bigint           NOT NULL CHECK (sequence >= 1),
  event_type     text COLLATE "C" NOT NULL,
  event_version  text COLLATE "C" NOT NULL,
  payload        json             NOT NULL,
  metadata       json             NOT NULL,
  PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

-- The history of one tenant in order of position.
CREATE INDEX events_by_tenant ON events (tenant, position);

CREATE TABLE commits
(
  commit_id      bigint NOT NULL PRIMARY KEY,
  first_position bigint NOT NULL,
  event_count    bigint NOT NULL CHECK (event_count >= 1),
  recorded_at    bigint NOT NULL, -- µs, the same in each of its events
  hash           bytea  NOT NULL  -- SHA-256, 32 bytes; chains the commit before
);

-- One row: what was committed last. Its lock is held from the first read of an append to its commit, which puts
-- all appends of all processes in one order. Room on the page keeps its many updates in place.
CREATE TABLE journal_head
(
  singleton   integer          NOT NULL PRIMARY KEY CHECK (singleton = 1),
  journal_id  text COLLATE "C" NOT NULL, -- hyphenated lower-case UUID, made once
  position    bigint           NOT NULL,
  commit_id   bigint           NOT NULL,
  recorded_at bigint           NOT NULL, -- µs, of the last commit
  hash        bytea            NOT NULL
) WITH (fillfactor = 20);

-- Every (type, version) that was ever stored, written by the first append that brings it.
CREATE TABLE event_versions
(
  event_type    text COLLATE "C" NOT NULL,
  event_version text COLLATE "C" NOT NULL,
  PRIMARY KEY (event_type, event_version)
);

-- Who may append: one row per running writer. A writer that lost its connection removes its row and takes a new
-- one, so that a statement of the old connection that arrives late is refused. What a crash leaves here is harmless.
CREATE TABLE journal_fences
(
  fence    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION journal_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  RAISE EXCEPTION 'the journal is append-only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'ZL001';
END $$;

CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse();
CREATE TRIGGER commits_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON commits
  FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse();
CREATE TRIGGER event_versions_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON event_versions
  FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse();
CREATE TRIGGER journal_head_refuses_removal BEFORE DELETE OR TRUNCATE ON journal_head
  FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse();

-- One look at all new rows of a statement: a look at each would cost more than the insert.
CREATE FUNCTION journal_events_follow() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  lowest bigint;
  highest bigint;
  added bigint;
  before bigint;
BEGIN
  SELECT min(position), max(position), count(*) INTO lowest, highest, added FROM new_events;
  SELECT position INTO before FROM journal_head;
  IF added > 0 AND (lowest <> before + 1 OR highest <> before + added) THEN
    RAISE EXCEPTION 'the journal is append-only: not the next events after position %', before USING ERRCODE = 'ZL001';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER events_follow AFTER INSERT ON events REFERENCING NEW TABLE AS new_events
  FOR EACH STATEMENT EXECUTE FUNCTION journal_events_follow();

CREATE FUNCTION journal_commit_follows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF NEW.commit_id IS DISTINCT FROM (SELECT coalesce(max(commit_id), 0) + 1 FROM commits) THEN
    RAISE EXCEPTION 'the journal is append-only: not the next commit' USING ERRCODE = 'ZL001';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER commits_follow BEFORE INSERT ON commits FOR EACH ROW EXECUTE FUNCTION journal_commit_follows();

CREATE FUNCTION journal_head_goes_forward() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF NEW.journal_id <> OLD.journal_id OR NEW.position <= OLD.position OR NEW.commit_id <> OLD.commit_id + 1 THEN
    RAISE EXCEPTION 'the head only goes forward, by one commit' USING ERRCODE = 'ZL001';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER journal_head_goes_forward BEFORE UPDATE ON journal_head
  FOR EACH ROW EXECUTE FUNCTION journal_head_goes_forward();

-- The head, locked until the transaction ends, if it is the head that the caller knows.
CREATE FUNCTION journal_lock(expected_journal text, known_position bigint) RETURNS journal_head
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
  RETURN head;
END $$;

CREATE FUNCTION journal_begin_writer() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  INSERT INTO journal_fences DEFAULT VALUES RETURNING fence;
$$;

CREATE FUNCTION journal_end_writer(old_fence bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM journal_fences WHERE fence = old_fence;
$$;

-- When this has committed, every append under the old fence has ended, or will be refused when it arrives.
CREATE FUNCTION journal_raise_fence(expected_journal text, known_position bigint, old_fence bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  new_fence bigint;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  PERFORM journal_lock(expected_journal, known_position);
  DELETE FROM journal_fences WHERE fence = old_fence;
  INSERT INTO journal_fences DEFAULT VALUES RETURNING fence INTO new_fence;
  RETURN new_fence;
END $$;

-- One batch in one statement. The first five arrays have an element per append, the others one per event, in
-- order; `owners` says of which append it is, from 1. Appends whose stream is not where they expect it are left
-- out; `lost` counts them from 0. Without any other, nothing is written and `first_position` is null.
CREATE FUNCTION journal_append(
  own_fence bigint, expected_journal text, known_position bigint, kind text,
  streams text[], expected bigint[], commands text[], tenants text[], metadatas text[],
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
    FROM unnest(streams, expected) WITH ORDINALITY AS a (stream, expected_sequence, at)
   WHERE a.expected_sequence <> coalesce(
           (SELECT max(e.sequence) FROM events e WHERE e.aggregate_type = kind AND e.aggregate_id = a.stream), 0);
  IF cardinality(lost) = cardinality(streams) THEN
    RETURN;
  END IF;

  now_at := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, head.recorded_at);
  INSERT INTO events (position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id,
                      sequence, event_type, event_version, payload, metadata)
  SELECT head.position + row_number() OVER (ORDER BY r.at), head.commit_id + 1, now_at, r.leaf, a.tenant, a.command,
         kind, a.stream, a.expected_sequence + row_number() OVER (PARTITION BY a.at ORDER BY r.at), r.type, r.version,
         r.payload::json, a.metadata::json
    FROM unnest(streams, expected, commands, tenants, metadatas)
           WITH ORDINALITY AS a (stream, expected_sequence, command, tenant, metadata, at)
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

REVOKE ALL ON FUNCTION journal_lock(text, bigint), journal_begin_writer(), journal_end_writer(bigint),
  journal_raise_fence(text, bigint, bigint),
  journal_append(bigint, text, bigint, text, text[], bigint[], text[], text[], text[], integer[], text[], text[],
                 text[], bytea[]) FROM PUBLIC;
