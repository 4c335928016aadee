//! Files that are for this user alone, whatever the folder around them says: the journal names owners, and the bucket holds
//! their media.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What makes a file, if it makes one, for this user alone.
pub fn options() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// Makes an SQLite database's file where it is missing; SQLite takes an empty one for a new database, and gives its own files
/// beside it the same rights. A file that others may read, as one of an earlier build, is taken from them; one that is only
/// its group's was made so by somebody, and stays.
///
/// # Errors
/// The file cannot be made.
pub fn database(path: &Path) -> io::Result<()> {
    options().create(true).append(true).open(path)?;
    for file in beside(path) {
        take_from_others(&file);
    }
    Ok(())
}

/// The file and those that SQLite keeps beside it.
pub fn beside(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

fn take_from_others(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.permissions().mode() & 0o007 != 0
        && let Err(error) = fs::set_permissions(path, Permissions::from_mode(0o600))
    {
        tracing::warn!(%error, path = %path.display(), "others may read this file, and its rights cannot be changed");
    }
}
