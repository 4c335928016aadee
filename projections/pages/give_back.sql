-- $1: the run, $2: the last page that it has done with, $3: where the last of it was recorded
UPDATE collection_pages SET done_position = $3 WHERE run_id = $1 AND page <= $2 AND done_position IS NULL
