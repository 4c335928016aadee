//! Where a service keeps its journal and its bucket: one of the two databases, and a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use zeroload::database::Database;
use zeroload_journal::postgres::Settings;

use crate::{
    Failure,
    cluster::Cluster,
    service::{self, Service},
};

/// A database that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "Postgres",
        }
    }
}

/// An empty journal with an empty bucket that is its own.
pub struct Place<'a> {
    binary: &'a Path,
    pub data: PathBuf,
    pub database: Database,
    /// Of the database, where it is not a file in `data`.
    url: Option<String>,
}

impl<'a> Place<'a> {
    /// `folder` is for this place alone.
    pub async fn make(
        binary: &'a Path,
        folder: &Path,
        kind: Kind,
        cluster: Option<&Cluster>,
        name: &str,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(folder)?;
        let data = folder.join("data");
        let (database, url) = match cluster.filter(|_| kind == Kind::Postgres) {
            Some(cluster) => {
                cluster.create_database(name)?;
                let url = cluster.url(name);
                (Database::Postgres(Box::new(Settings::parse(&url)?)), Some(url))
            }
            None => (Database::Sqlite(data.join("journal.db")), None),
        };
        let place = Self { binary, data, database, url };
        // Makes the folder, the journal and the bucket, and marks the bucket as the journal's.
        place.serve(&[]).await?.stop().await?;
        Ok(place)
    }

    /// The arguments that name its database, if it is not the default.
    pub fn url(&self) -> impl Iterator<Item = &str> {
        self.url.iter().flat_map(|url| ["--database-url", url.as_str()])
    }

    pub async fn serve(&self, settings: &[&str]) -> Result<Service, Failure> {
        let settings: Vec<_> = settings.iter().copied().chain(self.url()).collect();
        Service::start(self.binary, &self.data, &settings).await
    }

    /// The read models of all that is in the journal.
    pub async fn rebuild(&self) -> Result<(), Failure> {
        let mut command = service::command(self.binary, &self.data);
        let output = command.args(["projections", "rebuild"]).args(self.url()).output().await?;
        if !output.status.success() {
            return Err(format!("rebuild: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(())
    }

    /// So that the disk holds the data of one measurement at a time.
    pub fn clear(self, cluster: Option<&Cluster>) -> Result<(), Failure> {
        if let Some(folder) = self.data.parent() {
            fs::remove_dir_all(folder)?;
        }
        match cluster.zip(self.url.as_ref().and_then(|url| url.rsplit('/').next())) {
            Some((cluster, name)) => cluster.psql("postgres", &format!("DROP DATABASE {name}")),
            None => Ok(()),
        }
    }
}
