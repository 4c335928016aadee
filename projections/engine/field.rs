//! A value in a column, and back: both databases take text and signed integers.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::time_text;

use crate::Error;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
}

/// Takes the cells of a row from left to right.
pub(crate) trait Sink {
    fn text(&mut self, text: Option<&str>);
    fn number(&mut self, number: Option<i64>);
}

/// A type whose values are the content of a column.
pub(crate) trait Scalar: Sized {
    const KIND: Kind;

    fn write(&self, sink: &mut dyn Sink);

    /// Of a column of text; none for text that is no such value.
    fn of_text(_: &str) -> Option<Self> {
        None
    }

    /// Of a column of integers; none for a number that is no such value.
    fn of_number(_: i64) -> Option<Self> {
        None
    }
}

/// A column's value that may be absent, or never is.
pub(crate) trait Field: Sized {
    const KIND: Kind;
    const REQUIRED: bool;

    fn write(&self, sink: &mut dyn Sink);

    /// # Errors
    /// [`Error::Unreadable`], which names the column.
    fn read(column: &'static str, value: Option<Value<'_>>) -> Result<Self, Error>;
}

impl<T: Scalar> Field for T {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = true;

    fn write(&self, sink: &mut dyn Sink) {
        Scalar::write(self, sink);
    }

    fn read(column: &'static str, value: Option<Value<'_>>) -> Result<Self, Error> {
        value.ok_or_else(|| unreadable(column, "NULL"))?.parse(column)
    }
}

impl<T: Scalar> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;

    fn write(&self, sink: &mut dyn Sink) {
        match (self, T::KIND) {
            (Some(value), _) => value.write(sink),
            (None, Kind::Text) => sink.text(None),
            (None, Kind::Integer) => sink.number(None),
        }
    }

    fn read(column: &'static str, value: Option<Value<'_>>) -> Result<Self, Error> {
        value.map(|value| value.parse(column)).transpose()
    }
}

/// A cell that is not NULL.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'r> {
    Text(&'r str),
    Number(i64),
}

impl Value<'_> {
    fn parse<T: Scalar>(self, column: &'static str) -> Result<T, Error> {
        match self {
            Self::Text(text) => T::of_text(text).ok_or_else(|| unreadable(column, text)),
            Self::Number(number) => T::of_number(number).ok_or_else(|| unreadable(column, &number.to_string())),
        }
    }
}

fn unreadable(column: &'static str, value: &str) -> Error {
    Error::Unreadable { column, value: value.to_owned() }
}

/// The cells of a row of either database, by their index.
pub(crate) trait Cells {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error>;
    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error>;
}

impl Cells for sqlx::sqlite::SqliteRow {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }

    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }
}

impl Cells for sqlx::postgres::PgRow {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }

    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }
}

/// Reads the columns of one row from left to right.
pub(crate) struct Columns<'r> {
    row: &'r dyn Cells,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r dyn Cells) -> Self {
        Self { row, next: 0 }
    }

    /// # Errors
    /// [`Error::Unreadable`], which names the column; [`Error::Database`] for one of another type.
    pub(crate) fn read<T: Field>(&mut self, column: &'static str) -> Result<T, Error> {
        let index = self.next;
        self.next += 1;
        let value = match T::KIND {
            Kind::Text => self.row.text(index)?.map(Value::Text),
            Kind::Integer => self.row.number(index)?.map(Value::Number),
        };
        T::read(column, value)
    }
}

/// A value on its way into a statement.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
}

impl Cell {
    pub(crate) fn of<T: Field>(value: &T) -> Self {
        struct One(Option<Cell>);
        impl Sink for One {
            fn text(&mut self, text: Option<&str>) {
                self.0 = Some(Cell::Text(text.map(str::to_owned)));
            }

            fn number(&mut self, number: Option<i64>) {
                self.0 = Some(Cell::Number(number));
            }
        }
        let mut one = One(None);
        value.write(&mut one);
        one.0.expect("a field writes one cell")
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(Some(text.into()))
    }

    /// The databases' integers are signed. No position, sequence or size comes near their end.
    pub(crate) fn number(number: impl Into<u64>) -> Self {
        Self::Number(Some(integer(number.into())))
    }

    /// A list for a statement's `{in $n}` or `{rows $n: …}`.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::text(value.to_string())
    }
}

/// The databases' integers are signed. No position, sequence or size comes near their end.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Scalar for String {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(self));
    }

    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Scalar for u64 {
    const KIND: Kind = Kind::Integer;

    fn write(&self, sink: &mut dyn Sink) {
        sink.number(Some(integer(*self)));
    }

    fn of_number(number: i64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Scalar for u32 {
    const KIND: Kind = Kind::Integer;

    fn write(&self, sink: &mut dyn Sink) {
        sink.number(Some((*self).into()));
    }

    fn of_number(number: i64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Scalar for i64 {
    const KIND: Kind = Kind::Integer;

    fn write(&self, sink: &mut dyn Sink) {
        sink.number(Some(*self));
    }

    fn of_number(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl Scalar for bool {
    const KIND: Kind = Kind::Integer;

    fn write(&self, sink: &mut dyn Sink) {
        sink.number(Some((*self).into()));
    }

    fn of_number(number: i64) -> Option<Self> {
        Some(number != 0)
    }
}

impl Scalar for Uuid {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        let mut text = Self::encode_buffer();
        sink.text(Some(self.hyphenated().encode_lower(&mut text)));
    }

    fn of_text(text: &str) -> Option<Self> {
        Self::try_parse(text).ok()
    }
}

/// Text of one width, so that text sorts as time does.
impl Scalar for DateTime<Utc> {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(&time_text::format(*self)));
    }

    fn of_text(text: &str) -> Option<Self> {
        time_text::parse(text)
    }
}
