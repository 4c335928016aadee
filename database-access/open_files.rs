//! Whether the files that a database works on are still those of their names.
//!
//! 12:00 somebody removes the file of a running process, or copies a backup over it; 12:01 the process goes on writing to what
//! no name leads to any more, and answers that all is on disk; 12:02 it is started again, and what came after 12:00 is gone.
//!
//! A database becomes shorter by a `VACUUM`, from which nothing is lost, or because it was cut, or overwritten with an earlier
//! copy. Only a `VACUUM` raises the number of the schema in the file's header, and leaves a header that agrees with the file's
//! length (<https://www.sqlite.org/fileformat2.html>, "The Database Header").

use std::fs::{File, Metadata};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::private_file::beside;

/// The files of one SQLite database, as they were when it was opened.
#[derive(Debug)]
pub struct OpenFiles(Vec<OpenFile>);

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    /// Device and number on it.
    id: (u64, u64),
    /// `None` where it may become shorter.
    size: Option<Mutex<Size>>,
    /// Opened when the file was first found shorter, and never closed: that would end all locks that SQLite has on it in this
    /// process (<https://www.sqlite.org/howtocorrupt.html>, "POSIX advisory locks").
    header: OnceLock<ManuallyDrop<File>>,
}

/// What a database has grown to since it was last made shorter.
#[derive(Debug)]
struct Size {
    bytes: u64,
    /// SQLite's number of its schema.
    schema: u32,
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
    /// Of a database that this process has open, whose `PRAGMA schema_version` is `schema`. SQLite's log beside it becomes
    /// shorter when a checkpoint says so, the database itself by a `VACUUM` alone.
    ///
    /// # Errors
    /// The file is not there.
    pub fn of_database(path: &Path, schema: u32) -> io::Result<Self> {
        let [database, log, index] = beside(path);
        let mut files = vec![OpenFile::at(database, Some(schema))?];
        files.extend([log, index].into_iter().filter_map(|path| OpenFile::at(path, None).ok()));
        Ok(Self(files))
    }

    /// As [`OpenFiles::of_database`], without the files beside it: SQLite may remove them and make them anew.
    ///
    /// # Errors
    /// The file is not there.
    pub fn of_database_alone(path: &Path, schema: u32) -> io::Result<Self> {
        Ok(Self(vec![OpenFile::at(path.to_owned(), Some(schema))?]))
    }

    /// # Errors
    /// [`Changed`], of the first that is not what it was.
    pub fn check(&self) -> Result<(), Changed> {
        self.0.iter().try_for_each(OpenFile::check)
    }
}

impl OpenFile {
    fn at(path: PathBuf, schema: Option<u32>) -> io::Result<Self> {
        let found = std::fs::metadata(&path)?;
        let size = schema.map(|schema| Mutex::new(Size { bytes: found.len(), schema }));
        Ok(Self { path, id: id(&found), size, header: OnceLock::new() })
    }

    fn check(&self) -> Result<(), Changed> {
        // Held while the file is looked at: of two looks the later one is compared with what the earlier one has seen.
        let size = self.size.as_ref().map(|size| size.lock().unwrap_or_else(PoisonError::into_inner));
        let path = || self.path.clone();
        let found = std::fs::metadata(&self.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Changed::Removed(path()),
            _ => Changed::Unknown { path: path(), source },
        })?;
        if id(&found) != self.id {
            return Err(Changed::Replaced(path()));
        }
        let Some(mut size) = size else { return Ok(()) };
        if found.len() < size.bytes {
            let schema = self.schema_after_vacuum(found.len());
            size.schema = schema.filter(|schema| *schema > size.schema).ok_or_else(|| Changed::Cut(path()))?;
        }
        size.bytes = found.len();
        Ok(())
    }

    /// The number of the schema in a file of so many `bytes`, if its header says that it has as many.
    fn schema_after_vacuum(&self, bytes: u64) -> Option<u32> {
        let file = match self.header.get() {
            Some(file) => file,
            None => {
                let opened = ManuallyDrop::new(File::open(&self.path).ok()?);
                // Where two were opened at once, neither is closed.
                let _another = self.header.set(opened);
                self.header.get()?
            }
        };
        let mut header = [0; 44];
        file.read_exact_at(&mut header, 0).ok()?;
        let number = |at: usize| header[at..at + 4].try_into().map(u32::from_be_bytes).ok();
        let page = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            page => u64::from(page),
        };
        let is_whole = header.starts_with(b"SQLite format 3\0") && u64::from(number(28)?) * page == bytes;
        number(40).filter(|_| is_whole)
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
        let files = OpenFiles::of_database(&path, 1).expect("it is there");
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

    #[test]
    fn a_database_that_its_header_says_was_made_shorter_is_no_cut_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.db");
        let write = |pages: u32, said: u32, schema: u32| {
            let mut file = vec![0; 512 * pages as usize];
            file[..16].copy_from_slice(b"SQLite format 3\0");
            file[16..18].copy_from_slice(&512_u16.to_be_bytes());
            file[28..32].copy_from_slice(&said.to_be_bytes());
            file[40..44].copy_from_slice(&schema.to_be_bytes());
            fs::write(&path, file).expect("written");
        };
        write(9, 9, 5);
        let files = OpenFiles::of_database_alone(&path, 5).expect("it is there");
        write(7, 7, 6);
        files.check().expect("a VACUUM");
        for (pages, said, schema) in [(3, 7, 6), (3, 7, 7), (3, 3, 6), (3, 3, 5)] {
            write(pages, said, schema);
            assert!(matches!(files.check(), Err(Changed::Cut(_))), "{pages} pages, {said} said, schema {schema}");
        }
        write(6, 6, 8);
        files.check().expect("two of them");
    }
}
