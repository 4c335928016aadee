-- Changes no row if the turn is another run's.
-- $1: the store, $2: the bucket, $3: what is looked for, $4: the run, $5: how long the turn is held from now, in milliseconds
INSERT INTO inspection_turns AS turn (store, bucket, inspection, run_id, held_until)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 millisecond')
ON CONFLICT (store, bucket, inspection) DO UPDATE
SET run_id = excluded.run_id, held_until = excluded.held_until
WHERE turn.run_id = excluded.run_id OR turn.held_until <= clock_timestamp()
