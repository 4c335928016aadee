-- $1: the run, $2: how long what it works on is held from now, in seconds
UPDATE collection_pages
SET held_until = clock_timestamp() + $2 * interval '1 second'
WHERE run_id = $1 AND done_position IS NULL
