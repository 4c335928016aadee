-- $1: the run, $2: how long its turns are held from now, in milliseconds
UPDATE inspection_turns SET held_until = clock_timestamp() + $2 * interval '1 millisecond' WHERE run_id = $1
