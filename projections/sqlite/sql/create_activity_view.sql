-- What readers see: the live version, under a name that stays.
CREATE VIEW activity AS
SELECT minute, requested, confirmed, open, kept, expired
FROM activity_v{version};
