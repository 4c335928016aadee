//! How the tables came to be what they are: the steps of the schema, and what each has brought.
//!
//! A new table or column is one step more at the end. Its number is the same for both databases from 14 on.

use crate::{
    Checkpoint, activity,
    engine::{
        Change::{
            Columns, ForEachVersion, Indexes, Postgres, PostgresForEachVersion, RenewedIndexes, Table,
            VersionedColumns, VersionedTable,
        },
        Step, checkpoint,
        schema::Schema,
    },
    inspections::{self, turns},
    media::table::MEDIA,
    pages, reconciliations, retries, runs, waste,
};

pub(crate) const SCHEMA: Schema = Schema {
    tables: &[
        &checkpoint::CHECKPOINTS,
        &checkpoint::VERSIONS,
        &retries::TABLE,
        &inspections::PROGRESS,
        &inspections::RETRIES,
        &reconciliations::WALKS,
        &reconciliations::FINDINGS,
    ],
    postgres: &[include_str!("migrations/schema_number.sql"), pages::CREATE, turns::CREATE],
    steps: &[
        // Counts per minute.
        Step {
            sqlite: Some(2),
            postgres: Some(2),
            changes: &[VersionedTable(&activity::TABLE), ForEachVersion(include_str!("migrations/count_activity.sql"))],
        },
        // Records of runs. No journal had recorded one before, so empty tables are right wherever a version stands.
        Step { sqlite: Some(3), postgres: Some(3), changes: &[VersionedTable(&runs::TABLE)] },
        // What was inspected.
        Step {
            sqlite: Some(4),
            postgres: Some(4),
            changes: &[Table(&inspections::PROGRESS), Table(&inspections::RETRIES), Indexes(&MEDIA, &["collected"])],
        },
        // What is in the trash: what the collector reads also holds what waits in it and what comes back from it.
        Step { sqlite: Some(5), postgres: Some(5), changes: &[RenewedIndexes(&MEDIA, &["due", "collecting"])] },
        // What was reconciled.
        Step {
            sqlite: Some(6),
            postgres: Some(6),
            changes: &[
                Table(&reconciliations::WALKS),
                Table(&reconciliations::FINDINGS),
                Indexes(&MEDIA, &["objects"]),
            ],
        },
        // Which objects were substituted. What this says of the past is empty, as no journal had told.
        Step {
            sqlite: Some(7),
            postgres: Some(7),
            changes: &[
                VersionedColumns(&MEDIA, &["sealed_at", "substituted_at", "found", "found_etag"]),
                Indexes(&MEDIA, &["unsealed", "substituted"]),
            ],
        },
        // Who changes rows may remove them.
        Step {
            sqlite: None,
            postgres: Some(8),
            changes: &[PostgresForEachVersion(include_str!("migrations/grant_delete.sql"))],
        },
        // No restore counts as a confirm.
        Step {
            sqlite: Some(8),
            postgres: Some(9),
            changes: &[ForEachVersion(include_str!("migrations/count_activity.sql"))],
        },
        // What a run has moved into the trash. None of those that had ended told of a trash.
        Step {
            sqlite: Some(9),
            postgres: Some(10),
            changes: &[
                VersionedColumns(&runs::TABLE, &["trashed"]),
                ForEachVersion("UPDATE run_records_v{version} SET trashed = 0 WHERE ended_at IS NOT NULL"),
            ],
        },
        // What a walk could not read, and what the trash has lost. Walks of before had found none of either.
        Step {
            sqlite: Some(10),
            postgres: Some(11),
            changes: &[Columns(&reconciliations::WALKS, &[("unreadable", "0"), ("orphaned", "0")])],
        },
        // The work of several collectors is divided.
        Step { sqlite: None, postgres: Some(12), changes: &[Postgres(pages::CREATE, Some(pages::TABLE))] },
        // The work of several inspectors is divided.
        Step { sqlite: None, postgres: Some(13), changes: &[Postgres(turns::CREATE, Some(turns::TABLE))] },
        // By which schema a version was begun.
        Step {
            sqlite: Some(14),
            postgres: Some(14),
            changes: &[Columns(&checkpoint::CHECKPOINTS, &[("begun_by", "0")])],
        },
        // Since when objects are known to be there, and what was removed of them without a confirm. What both say of the past
        // only the journal tells.
        Step {
            sqlite: Some(15),
            postgres: Some(15),
            changes: &[VersionedColumns(&MEDIA, &["arrived_at"]), VersionedTable(&waste::TABLE)],
        },
        // By which commit the journal's past is recognised. Of what was applied before nobody has noted that.
        Step {
            sqlite: Some(16),
            postgres: Some(16),
            changes: &[Columns(&checkpoint::CHECKPOINTS, &[("commit_id", "NULL"), ("commit_hash", "NULL")])],
        },
    ],
    rebuild_since: 15,
};

impl Checkpoint {
    /// Whether its tables tell all of the past that they can: a version of an older schema needs a rebuild for that.
    pub fn is_complete(&self) -> bool {
        self.begun_by >= SCHEMA.rebuild_since
    }
}
