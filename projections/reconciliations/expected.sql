SELECT count(*) FROM media WHERE state IN ('uploaded', 'confirmed', 'released', 'collecting')
