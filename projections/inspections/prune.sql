-- An item that has left the state in which it was to be looked at.
DELETE FROM inspection_retries
WHERE EXISTS (SELECT 1 FROM media
              WHERE media.media_id = inspection_retries.media_id
                AND CASE inspection
                      WHEN 'recheck' THEN state <> 'collected'
                      ELSE state <> 'confirmed' OR sealed_at IS NOT NULL
                    END)
