//! Write-ahead logs of SQLite that cannot end because somebody goes on reading.
//!
//! SQLite keeps every page that was written since the oldest open read transaction began, so a shell that was left within
//! one lets the log grow without bound, and every read gets slower. Commits fold the log into the file by themselves as far
//! as readers let them; here a log that has become large all the same is noticed, folded as soon as it can be, and who is
//! in the way is named as far as the system tells.
//!
//! Neither file of a database may be opened here: to close one ends all locks that SQLite has on it in this process
//! (<https://www.sqlite.org/howtocorrupt.html>, "POSIX advisory locks"). They are only looked at from outside.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};

use zeroload_clock::Sleeper;

/// A log beyond it is no longer what a busy minute leaves behind.
pub const LARGE: u64 = 64 * 1024 * 1024;

const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// Who still reads after it did not only happen to.
const MOMENT: Duration = Duration::from_millis(200);

/// Readers have a lock on one of these bytes of the log's index
/// (<https://www.sqlite.org/walformat.html>, "WAL Locks").
const READ_LOCKS: std::ops::RangeInclusive<u64> = 123..=127;

/// Processes that are named.
const MOST_NAMED: usize = 5;

/// The logs of this service's files. Clones share what was seen.
#[derive(Clone)]
pub struct WalWatch(Arc<Vec<Log>>);

struct Log {
    /// Whose file it is: `journal` or `projections`.
    name: &'static str,
    path: PathBuf,
    large: u64,
    /// Why the log could not be folded, when it was last tried.
    problem: RwLock<Option<String>>,
}

/// How a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    pub name: &'static str,
    pub bytes: u64,
    /// Who is in the way; nothing while there is no harm.
    pub problem: Option<String>,
}

impl WalWatch {
    pub fn new(files: impl IntoIterator<Item = (&'static str, PathBuf)>, large: u64) -> Self {
        let log = |(name, path)| Log { name, path, large, problem: RwLock::default() };
        Self(Arc::new(files.into_iter().map(log).collect()))
    }

    /// Looks again and again, until it is dropped.
    pub async fn run(self, sleeper: Sleeper) {
        loop {
            self.look().await;
            sleeper.sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Folds what is large. Dropped while it waits, it leaves the log as it was or folded.
    pub async fn look(&self) {
        for log in self.0.iter() {
            let problem = log.look().await;
            let mut last = log.problem.write().unwrap_or_else(PoisonError::into_inner);
            match (&*last, &problem) {
                (None, Some(problem)) => tracing::warn!(file = %log.path.display(), "{problem}"),
                (Some(_), None) => tracing::info!(file = %log.path.display(), "the write-ahead log is small again"),
                _ => {}
            }
            *last = problem;
        }
    }

    /// As of now, and the problem as of the last look. No database is asked.
    pub fn states(&self) -> Vec<LogState> {
        let state = |log: &Log| {
            let problem = log.problem.read().unwrap_or_else(PoisonError::into_inner).clone();
            LogState { name: log.name, bytes: log.bytes(), problem }
        };
        self.0.iter().map(state).collect()
    }
}

impl Log {
    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(end);
        name.into()
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(self.beside("-wal")).map_or(0, |file| file.len())
    }

    async fn look(&self) -> Option<String> {
        if self.bytes() <= self.large {
            return None;
        }
        let folded = fold(&self.path).await;
        let bytes = self.bytes();
        if bytes <= self.large {
            return None;
        }
        let name = self.name;
        let mebibytes = bytes.div_ceil(1024 * 1024);
        let size = format!("the write-ahead log of the {name} has {mebibytes} MiB and cannot be folded into its file");
        if let Err(error) = folded {
            return Some(format!("{size}: {error}"));
        }
        let index = self.beside("-shm");
        let first = readers(&index);
        tokio::time::sleep(MOMENT).await;
        let readers: Vec<String> =
            readers(&index).intersection(&first).take(MOST_NAMED).map(|pid| named(*pid)).collect();
        Some(match readers.is_empty() {
            true => format!(
                "{size}: it is being read, by nobody whom this process can see; look for a shell or a backup in another \
                 container"
            ),
            false => format!("{size}, since these have a read transaction open: {}; end it", readers.join(", ")),
        })
    }
}

/// First what needs no lock that writers wait for, which is nearly all of it; then, if nobody stands in the way, the rest.
async fn fold(path: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::ZERO).disable_statement_logging();
    let mut connection = options.connect().await?;
    let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut connection).await?;
    let (pages, folded): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    if pages == folded {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
    }
    connection.close().await
}

/// The processes that have a reader's lock on the index of a log. Empty where the system does not tell.
fn readers(index: &Path) -> BTreeSet<u32> {
    let Ok(inode) = std::fs::metadata(index).map(|file| file.ino()) else { return BTreeSet::new() };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().filter_map(|line| reader(line, inode)).collect()
}

/// A line such as `7: POSIX  ADVISORY  READ 4242 08:01:131090 124 124` (proc_locks(5)).
fn reader(line: &str, inode: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "POSIX", _, "READ", pid, file, first, last] = words[..] else { return None };
    let of_file = file.rsplit(':').next()?.parse() == Ok(inode);
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let is_read = first <= *READ_LOCKS.end() && last >= *READ_LOCKS.start();
    pid.parse().ok().filter(|_| of_file && is_read)
}

fn named(pid: u32) -> String {
    if pid == std::process::id() {
        return format!("this process ({pid})");
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim().chars().filter(|character| !character.is_control()).take(32).collect();
    if name.is_empty() { format!("process {pid}") } else { format!("process {pid} ({name})") }
}

#[cfg(test)]
mod tests;
