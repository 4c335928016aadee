//! The pages that runs hold where several processes share the read models: a table of the same database, by its clock.

use chrono::TimeDelta;
use uuid::Uuid;

use super::PageRequest;
use crate::{
    DueItem, Error,
    engine::{Cell, Database, postgres},
    media::{DueRecord, List},
    query::Place,
};

/// Rows live for seconds, and after a crash of the server nobody holds anything.
pub(crate) const CREATE: &str = include_str!("create.sql");

/// The table that [`CREATE`] makes.
pub(crate) const TABLE: &str = "collection_pages";

/// In which a page is taken, "zlRMpage" in ASCII.
const TURN: i64 = 0x7a6c_524d_7061_6765;

fn milliseconds(span: TimeDelta) -> Cell {
    Cell::Number(Some(span.num_milliseconds()))
}

pub(super) async fn take(database: &postgres::Database, wanted: PageRequest) -> Result<Vec<DueItem>, Error> {
    let list = List::from(wanted.list).without("NOT IN (SELECT media_id FROM held)");
    let sql = include_str!("take.sql").replace("{list}", &list);
    let Place { at, id } = Place::after(wanted.after);
    let cells = vec![
        Cell::of(&wanted.now),
        at,
        id,
        Cell::number(wanted.limit),
        Cell::of(&wanted.run_id),
        Cell::number(wanted.page),
        milliseconds(wanted.held_for),
    ];
    let records: Vec<DueRecord> = database.select_in_turn(TURN, &sql, cells).await?;
    Ok(records.into_iter().map(DueItem::from).collect())
}

pub(super) async fn keep(database: &Database, run_id: Uuid, held_for: TimeDelta) -> Result<(), Error> {
    let cells = vec![Cell::of(&run_id), milliseconds(held_for)];
    database.execute(vec![(include_str!("keep.sql").into(), cells)]).await.map(|_| ())
}

pub(super) async fn give_back(database: &Database, run_id: Uuid, page: u32, position: u64) -> Result<(), Error> {
    let cells = vec![Cell::of(&run_id), Cell::number(page), Cell::number(position)];
    database.execute(vec![(include_str!("give_back.sql").into(), cells)]).await.map(|_| ())
}
