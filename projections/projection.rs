//! The projection that all read models are parts of. A new one is a line of this file.

use crate::{
    MediaRow, RecordedEvent, activity,
    engine::{Derived, Folded, Projection, Table, View, schema::Schema},
    media::{batch, table::MEDIA, views},
    runs,
    schema::SCHEMA,
    waste,
};

/// A row for each media item, and tables that follow from each batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media;

impl Projection for Media {
    const NAME: &'static str = "media";
    type Row = MediaRow;
    const TABLE: &'static Table = &MEDIA;
    const DERIVED: &'static [Derived<MediaRow>] = &[activity::ACTIVITY, runs::RUNS, waste::WASTE];
    const SCHEMA: &'static Schema = &SCHEMA;
    const VIEWS: &'static [View] = &[
        views::PENDING_MEDIA,
        views::FUNNEL_PER_DAY,
        views::BYTES_PER_OWNER,
        views::SUBSTITUTED_MEDIA,
        runs::COLLECTION_RUNS,
    ];

    fn key(row: &MediaRow) -> String {
        row.media_id.to_string()
    }

    fn touched(events: &[RecordedEvent]) -> Vec<String> {
        batch::touched(events).iter().map(ToString::to_string).collect()
    }

    fn fold(events: &[RecordedEvent], stored: Vec<MediaRow>) -> Folded<'_, MediaRow> {
        batch::changes(events, stored)
    }
}
