-- An item that has left the state in which it was to be looked at.
DELETE FROM inspection_retries
WHERE inspection = 'recheck'
  AND media_id IN (SELECT media_id FROM media
                   WHERE media_id IN (SELECT media_id FROM inspection_retries)
                     AND state <> 'collected')
