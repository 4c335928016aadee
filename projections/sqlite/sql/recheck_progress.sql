SELECT position FROM recheck_progress WHERE store = ?1 AND bucket = ?2 AND after_seconds = ?3
