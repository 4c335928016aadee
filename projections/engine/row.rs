//! A struct whose fields are the columns of a row.

use super::{
    Columns, Sink,
    field::{Field, Kind},
};
use crate::Error;

/// A column of a table, or of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Never NULL.
    pub required: bool,
}

impl Column {
    pub(crate) const fn of<T: Field>(name: &'static str) -> Self {
        Self { name, kind: T::KIND, required: T::REQUIRED }
    }
}

/// What is written into, or read from, one row.
pub(crate) trait Row: Sized + Send + Sync + 'static {
    /// In the order in which they are written and read.
    const COLUMNS: &'static [Column];

    fn write(&self, sink: &mut dyn Sink);

    /// # Errors
    /// [`Error::Unreadable`], [`Error::Database`].
    fn read(columns: &mut Columns<'_>) -> Result<Self, Error>;
}

/// The names of columns as a statement lists them.
pub(crate) fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// A JSON array of rows, each an array of its cells, for a statement's `{rows $n: …}`.
pub(crate) fn json<R: Row>(rows: impl IntoIterator<Item = R>) -> String {
    struct Cells(Vec<serde_json::Value>);
    impl Sink for Cells {
        fn text(&mut self, text: Option<&str>) {
            self.0.push(text.into());
        }

        fn number(&mut self, number: Option<i64>) {
            self.0.push(number.into());
        }
    }
    let rows = rows.into_iter().map(|row| {
        let mut cells = Cells(Vec::with_capacity(R::COLUMNS.len()));
        row.write(&mut cells);
        serde_json::Value::Array(cells.0)
    });
    serde_json::Value::Array(rows.collect()).to_string()
}

/// Declares a struct, and each of its fields as the column of that name.
macro_rules! row {
    ($(#[$about:meta])* $visible:vis struct $name:ident { $($(#[$doc:meta])* $show:vis $field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        $visible struct $name { $($(#[$doc])* $show $field: $type,)+ }

        impl $crate::engine::Row for $name {
            const COLUMNS: &'static [$crate::engine::Column] =
                &[$($crate::engine::Column::of::<$type>(stringify!($field)),)+];

            fn write(&self, sink: &mut dyn $crate::engine::Sink) {
                $($crate::engine::Field::write(&self.$field, sink);)+
            }

            fn read(columns: &mut $crate::engine::Columns<'_>) -> Result<Self, $crate::Error> {
                Ok(Self { $($field: columns.read(stringify!($field))?,)+ })
            }
        }
    };
}
pub(crate) use row;

row! {
    /// The answer of a statement that counts.
    pub(crate) struct Count {
        pub count: u64,
    }
}
