//! Rows of `media` in the binary form of COPY (PostgreSQL manual, "COPY", "Binary Format").

use zeroload_domain::{Claim, CollectOutcome, CollectReason};

use super::{Transaction, statements};
use crate::{Error, FoundAs, MediaRow, SeenAs, columns, time_text};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// No flags, no extension.
const HEADER: [u8; 8] = [0; 8];

/// Instead of a number of cells: no row follows.
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Adds rows of items that have none.
pub(super) async fn copy(tx: &mut Transaction, version: u32, rows: &[MediaRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut data = Vec::with_capacity(512 * rows.len());
    data.extend_from_slice(SIGNATURE);
    data.extend_from_slice(&HEADER);
    rows.iter().for_each(|row| Cells::of(&mut data).row(row));
    data.extend_from_slice(&END);
    let mut copy = tx.copy_in_raw(&statements::copy(version)).await?;
    copy.send(data).await?;
    copy.finish().await?;
    Ok(())
}

/// The cells of one row, each behind its length.
struct Cells<'d>(&'d mut Vec<u8>);

impl<'d> Cells<'d> {
    fn of(data: &'d mut Vec<u8>) -> Self {
        let count = i16::try_from(columns::COUNT).expect("a table has few columns");
        data.extend_from_slice(&count.to_be_bytes());
        Self(data)
    }

    /// In the order of the table.
    fn row(mut self, row: &MediaRow) {
        self.text(&row.media_id.to_string());
        self.text(row.tenant.as_str());
        self.text(row.owner.as_str());
        self.text(row.state.as_str());
        self.text(row.store.as_str());
        self.text(row.bucket.as_str());
        self.text(row.object_key.as_str());
        self.text(row.content_type.as_str());
        self.number(Some(columns::integer(row.content_length.bytes())));
        self.maybe(row.checksum_sha256.map(|digest| digest.to_string()));
        self.maybe(row.etag.as_ref().map(|etag| etag.as_str()));
        self.maybe(row.attached_to.as_ref().map(|place| place.as_str()));
        self.text(&time_text::format(row.requested_at));
        self.text(&time_text::format(row.ticket_expires_at));
        self.text(&time_text::format(row.confirm_by));
        self.text(&time_text::format(row.collectable_at));
        self.maybe(row.uploaded_at.map(time_text::format));
        self.maybe(row.confirmed_at.map(time_text::format));
        self.maybe(row.released_at.map(time_text::format));
        self.maybe(row.release_reason.map(columns::release_reason));
        self.maybe(row.collection_started_at.map(time_text::format));
        self.maybe(row.collected_at.map(time_text::format));
        self.number(row.claim.map(Claim::number).map(i64::from));
        self.maybe(row.collect_reason.map(CollectReason::as_str));
        self.maybe(row.collect_run_id.map(|id| id.to_string()));
        self.maybe(row.seen.map(SeenAs::as_str));
        self.maybe(row.outcome.map(CollectOutcome::as_str));
        self.number(row.bytes_freed.map(|size| columns::integer(size.bytes())));
        self.number(Some(columns::integer(row.sequence)));
        self.number(Some(columns::integer(row.position)));
        self.maybe(row.sealed_at.map(time_text::format));
        self.maybe(row.substituted_at.map(time_text::format));
        self.maybe(row.found.map(FoundAs::as_str));
        self.maybe(row.found_etag.as_ref().map(|etag| etag.as_str()));
    }

    fn text(&mut self, text: &str) {
        self.cell(Some(text.as_bytes()));
    }

    fn maybe(&mut self, text: Option<impl AsRef<str>>) {
        self.cell(text.as_ref().map(|text| text.as_ref().as_bytes()));
    }

    fn number(&mut self, number: Option<i64>) {
        self.cell(number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn cell(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("each text has a bound"));
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes.unwrap_or_default());
    }
}
