-- $1: the run, $2: how long what it works on is held from now, in milliseconds
UPDATE collection_pages
SET held_until = clock_timestamp() + $2 * interval '1 millisecond'
WHERE run_id = $1 AND done_position IS NULL
