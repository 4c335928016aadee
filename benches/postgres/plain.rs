//! What a backend would do without zeroload: one row per upload in a table of its own, one transaction per change.

use std::{fs, path::Path};

use crate::{
    Failure,
    cluster::{Cluster, Pgbench},
};

const CREATE: &str = "
CREATE TABLE media (
  id uuid NOT NULL, object_key text NOT NULL, owner text NOT NULL, content_type text NOT NULL,
  content_length bigint NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL, confirmed_at timestamptz)";

const KEYS: &str = "
ALTER TABLE media ADD PRIMARY KEY (id);
ALTER TABLE media ADD UNIQUE (object_key);
CREATE INDEX media_by_status ON media (status, created_at)";

/// The key is a random UUID, as backends use them.
const INSERT: &str = "
\\set owner random(1, 100000)
\\set length random(1, 5000000)
INSERT INTO media (id, object_key, owner, content_type, content_length, status, created_at)
VALUES (gen_random_uuid(), 'media/' || gen_random_uuid(), 'user-' || :owner, 'image/jpeg', :length, 'pending', now());
";

/// Each row once: the clients take turns.
const UPDATE: &str = "
\\set i :i + 1
\\set row :i * :clients + :client_id
UPDATE media SET status = 'confirmed', confirmed_at = now() WHERE id = md5((:row)::text)::uuid;
";

/// Enough rows for an update each, at any rate that one may expect of two cores.
fn fill(seconds: u64) -> String {
    format!(
        "INSERT INTO media SELECT md5(n::text)::uuid, 'media/' || n, 'user-' || n % 100000, 'image/jpeg', 123456,
                                  'pending', now()
           FROM generate_series(0, {}) AS n",
        25_000 * seconds
    )
}

/// The table as it is after `rows` uploads, all of them confirmed but for one in a hundred.
fn past(rows: u64) -> String {
    format!(
        "INSERT INTO media SELECT gen_random_uuid(), 'media/' || gen_random_uuid(), 'user-' || n % 100000, 'image/jpeg',
                                  123456, CASE n % 100 WHEN 0 THEN 'pending' ELSE 'confirmed' END,
                                  now() - n * interval '1 second', now() - n * interval '1 second'
           FROM generate_series(1, {rows}) AS n"
    )
}

/// Makes the table, with `rows` rows, in a database of its own.
pub fn create(cluster: &Cluster, database: &str, rows: u64) -> Result<(), Failure> {
    cluster.create_database(database)?;
    statements(cluster, database, &[CREATE, &past(rows), KEYS, "VACUUM ANALYZE media"])
}

/// pgbench against the table of a database, for so long each time.
pub struct Runs<'b> {
    pub cluster: &'b Cluster,
    pub database: &'b str,
    /// Where the script goes.
    pub folder: &'b Path,
    pub seconds: u64,
}

impl Runs<'_> {
    /// One prepared single-row `INSERT` per transaction, into the table as it is.
    pub fn insert(&self, clients: u32) -> Result<Pgbench, Failure> {
        self.run(INSERT, clients)
    }

    /// One prepared `UPDATE` of a row by its key per transaction.
    pub fn update(&self, clients: u32) -> Result<Pgbench, Failure> {
        self.empty()?;
        statements(self.cluster, self.database, &[&fill(self.seconds)])?;
        self.run(UPDATE, clients)
    }

    pub fn empty(&self) -> Result<(), Failure> {
        statements(self.cluster, self.database, &["TRUNCATE media"])
    }

    fn run(&self, script: &str, clients: u32) -> Result<Pgbench, Failure> {
        let path = self.folder.join("script.sql");
        fs::write(&path, script)?;
        self.cluster.checkpoint()?;
        self.cluster.pgbench(self.database, &path, clients, self.seconds)
    }
}

fn statements(cluster: &Cluster, database: &str, statements: &[&str]) -> Result<(), Failure> {
    statements.iter().try_for_each(|statement| cluster.psql(database, statement))
}
