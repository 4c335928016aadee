//! The read models of one place, for whoever asks them.

use std::sync::{Arc, Mutex};

#[cfg(any(test, feature = "memory"))]
use crate::memory;
use crate::{Error, engine::Database, pages::held::HeldPages};

/// Where the tables are.
#[derive(Clone, Debug)]
pub(crate) enum Tables {
    Database(Database),
    /// What a run of the collector and of the projector needs, for simulations.
    #[cfg(any(test, feature = "memory"))]
    Memory(memory::Memory),
}

/// The read models of one file of SQLite or one database of Postgres. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct ReadModels {
    pub(crate) tables: Tables,
    /// Where no other process collects.
    pub(crate) pages: Arc<Mutex<HeldPages>>,
}

impl ReadModels {
    pub(crate) fn of(tables: Tables) -> Self {
        Self { tables, pages: Arc::default() }
    }

    /// # Errors
    /// [`Error::InMemory`] where the tables are in memory.
    pub(crate) fn database(&self) -> Result<&Database, Error> {
        match &self.tables {
            Tables::Database(database) => Ok(database),
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory(_) => Err(Error::InMemory),
        }
    }

    /// The tables in memory, if that is where they are.
    #[cfg(any(test, feature = "memory"))]
    pub(crate) fn memory(&self) -> Option<&memory::Memory> {
        match &self.tables {
            Tables::Database(_) => None,
            Tables::Memory(memory) => Some(memory),
        }
    }
}
