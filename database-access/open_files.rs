//! Whether the files that a database works on are still those of their names.
//!
//! 12:00 somebody removes the file of a running process, or copies a backup over it; 12:01 the process goes on writing to what
//! no name leads to any more, and answers that all is on disk; 12:02 it is started again, and what came after 12:00 is gone.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::private_file::beside;

/// The files of one SQLite database, as they were when it was opened.
#[derive(Debug)]
pub struct OpenFiles(Vec<OpenFile>);

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    /// Device and number on it.
    id: (u64, u64),
    /// Bytes that it has had; `None` where it may become shorter.
    longest: Option<AtomicU64>,
}

/// Why a file is not to be written any more.
#[derive(Debug, thiserror::Error)]
pub enum Changed {
    #[error("{} was removed while this process has it open: put it back, or stop the process and restore it", .0.display())]
    Removed(PathBuf),
    #[error("{} was replaced while this process has it open: put the old file back, or start the process again", .0.display())]
    Replaced(PathBuf),
    #[error("{} was cut while this process has it open: stop the process and restore it", .0.display())]
    Cut(PathBuf),
    #[error("{} cannot be found: {source}", path.display())]
    Unknown { path: PathBuf, source: io::Error },
}

impl OpenFiles {
    /// Of a database that this process has open. SQLite's log beside it becomes shorter when a checkpoint says so, the database
    /// itself never does.
    ///
    /// # Errors
    /// The file is not there.
    pub fn of_database(path: &Path) -> io::Result<Self> {
        let [database, log, index] = beside(path);
        let mut files = vec![OpenFile::at(database, true)?];
        files.extend([log, index].into_iter().filter_map(|path| OpenFile::at(path, false).ok()));
        Ok(Self(files))
    }

    /// As [`OpenFiles::of_database`], without the files beside it: SQLite may remove them and make them anew.
    ///
    /// # Errors
    /// The file is not there.
    pub fn of_database_alone(path: &Path) -> io::Result<Self> {
        Ok(Self(vec![OpenFile::at(path.to_owned(), true)?]))
    }

    /// # Errors
    /// [`Changed`], of the first that is not what it was.
    pub fn check(&self) -> Result<(), Changed> {
        self.0.iter().try_for_each(OpenFile::check)
    }
}

impl OpenFile {
    fn at(path: PathBuf, only_grows: bool) -> io::Result<Self> {
        let found = std::fs::metadata(&path)?;
        Ok(Self { path, id: id(&found), longest: only_grows.then(|| found.len().into()) })
    }

    fn check(&self) -> Result<(), Changed> {
        let path = || self.path.clone();
        let found = std::fs::metadata(&self.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Changed::Removed(path()),
            _ => Changed::Unknown { path: path(), source },
        })?;
        if id(&found) != self.id {
            return Err(Changed::Replaced(path()));
        }
        match &self.longest {
            Some(longest) if longest.fetch_max(found.len(), Ordering::AcqRel) > found.len() => {
                Err(Changed::Cut(path()))
            }
            _ => Ok(()),
        }
    }
}

fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_removed_replaced_or_cut_is_noticed_until_it_is_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, aside) = (dir.path().join("a.db"), dir.path().join("aside"));
        for file in beside(&path) {
            fs::write(file, "0123456789").expect("written");
        }
        let files = OpenFiles::of_database(&path).expect("it is there");
        files.check().expect("nothing has changed");
        for file in beside(&path) {
            fs::rename(&file, &aside).expect("moved");
            assert!(matches!(files.check(), Err(Changed::Removed(gone)) if gone == file));
            fs::copy(&aside, &file).expect("copied");
            assert!(matches!(files.check(), Err(Changed::Replaced(other)) if other == file));
            fs::rename(&aside, &file).expect("moved back");
            files.check().expect("it is back");
        }
        fs::write(&path, "0123456789abcdef").expect("written");
        files.check().expect("it has grown");
        fs::write(&path, "0123456789").expect("written");
        assert!(matches!(files.check(), Err(Changed::Cut(_))));
        fs::write(&path, "0123456789abcdef").expect("written");
        fs::write(&beside(&path)[1], "").expect("written");
        files.check().expect("a checkpoint may cut the log");
    }
}
