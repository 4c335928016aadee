-- The newest step that these tables have taken.
CREATE TABLE projection_schema
(
  one     BOOLEAN NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
  version BIGINT  NOT NULL
);

INSERT INTO projection_schema (version) VALUES (0);
