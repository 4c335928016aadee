SELECT last_code, count(*) FROM collection_retries GROUP BY last_code ORDER BY last_code
