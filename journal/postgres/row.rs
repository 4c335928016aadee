//! An event on its way to the function that adds it: one row of the type `journal_new_event`.
//!
//! In PostgreSQL's binary form of a row, which is the number of its fields and then each with its type and its length; the
//! server refuses a field of another type.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};

use super::super::append::{NewEvent, Prepared};
use super::super::hash::Hash;

const TYPE: &str = "journal_new_event";
const FIELDS: i32 = 11;

/// Types of PostgreSQL, by the ids that they have everywhere (its `pg_type.dat`).
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const TEXT: u32 = 25;
const JSON: u32 = 114;

/// All events of a batch, in order.
pub(super) struct NewRows<'b>(pub &'b [Prepared]);

struct NewRow<'b> {
    /// Its place in the batch, from 1.
    at: i64,
    append: &'b Prepared,
    sequence: i64,
    event: &'b NewEvent,
    leaf: &'b Hash,
}

impl NewRows<'_> {
    fn rows(&self) -> Vec<NewRow<'_>> {
        let events = self.0.iter().flat_map(|append| append.rows().map(move |row| (append, row)));
        let rows = (1..).zip(events);
        rows.map(|(at, (append, (sequence, event, leaf)))| NewRow { at, append, sequence, event, leaf }).collect()
    }
}

impl sqlx::Type<Postgres> for NewRows<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::array_of(TYPE)
    }
}

impl Encode<'_, Postgres> for NewRows<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let rows = self.rows();
        // At once, or each doubling would move what is there.
        buffer.reserve(rows.iter().map(NewRow::about).sum());
        Encode::<Postgres>::encode_by_ref(&rows, buffer)
    }
}

impl NewRow<'_> {
    /// Bytes that it takes, or a few more.
    fn about(&self) -> usize {
        256 + self.event.payload.len() + self.append.metadata.len() + self.append.tenant.len()
    }
}

impl sqlx::Type<Postgres> for NewRow<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name(TYPE)
    }
}

impl Encode<'_, Postgres> for NewRow<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&FIELDS.to_be_bytes());
        let mut field = |id: u32, value: &[u8]| -> Result<(), BoxDynError> {
            buffer.extend_from_slice(&id.to_be_bytes());
            buffer.extend_from_slice(&i32::try_from(value.len())?.to_be_bytes());
            buffer.extend_from_slice(value);
            Ok(())
        };
        field(INT8, &self.at.to_be_bytes())?;
        field(TEXT, self.append.kind.as_str().as_bytes())?;
        field(TEXT, self.append.stream_text.as_bytes())?;
        field(INT8, &self.sequence.to_be_bytes())?;
        field(TEXT, self.event.event_type.as_bytes())?;
        field(TEXT, self.event.event_version.as_bytes())?;
        field(JSON, self.event.payload.as_bytes())?;
        field(JSON, self.append.metadata.as_bytes())?;
        field(TEXT, self.append.tenant.as_bytes())?;
        field(TEXT, self.append.command_text.as_bytes())?;
        field(BYTEA, self.leaf.as_bytes())?;
        Ok(IsNull::No)
    }
}
