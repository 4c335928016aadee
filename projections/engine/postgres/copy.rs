//! Rows in the binary form of COPY (PostgreSQL manual, "COPY", "Binary Format").

use super::Transaction;
use crate::{
    Error,
    engine::{Row, Sink, Table},
};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// No flags, no extension.
const HEADER: [u8; 8] = [0; 8];

/// Instead of a number of cells: no row follows.
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Adds rows whose keys are not there.
pub(super) async fn copy<R: Row>(tx: &mut Transaction, table: &Table, version: u32, rows: &[R]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let count = i16::try_from(R::COLUMNS.len()).expect("a table has few columns").to_be_bytes();
    let mut data = Vec::with_capacity(512 * rows.len());
    data.extend_from_slice(SIGNATURE);
    data.extend_from_slice(&HEADER);
    for row in rows {
        data.extend_from_slice(&count);
        row.write(&mut Cells(&mut data));
    }
    data.extend_from_slice(&END);
    let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.of_version(version), table.names());
    let mut copy = tx.copy_in_raw(&sql).await?;
    copy.send(data).await?;
    copy.finish().await?;
    Ok(())
}

/// The cells of one row, each behind its length.
struct Cells<'d>(&'d mut Vec<u8>);

impl Sink for Cells<'_> {
    fn text(&mut self, text: Option<&str>) {
        self.cell(text.map(str::as_bytes));
    }

    fn number(&mut self, number: Option<i64>) {
        self.cell(number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }
}

impl Cells<'_> {
    fn cell(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("each text has a bound"));
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes.unwrap_or_default());
    }
}
