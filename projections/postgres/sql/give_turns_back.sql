-- $1: the run
DELETE FROM inspection_turns WHERE run_id = $1
