//! How this process gets at a database: the files of SQLite's and the connections to PostgreSQL's.
//!
//! | module | holds |
//! |---|---|
//! | [`private_file`] | files that are for this user alone |
//! | [`open_files`] | whether the files that a database works on are still those of their names |
//! | [`pool`] | connections that are kept |

pub mod open_files;
pub mod pool;
pub mod private_file;
