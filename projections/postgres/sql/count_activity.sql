-- $1 ... $6: an array for each column, by how much each changes
INSERT INTO activity_v{version} AS known (minute, requested, confirmed, open, kept, expired)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
ON CONFLICT (minute) DO UPDATE SET
  requested = known.requested + excluded.requested,
  confirmed = known.confirmed + excluded.confirmed,
  open      = known.open + excluded.open,
  kept      = known.kept + excluded.kept,
  expired   = known.expired + excluded.expired
