//! The subcommands and settings of the real binary, as a person at a terminal or a script meets them.

mod auditing;
mod aws;
mod changed_files;
mod collecting;
mod demonstration;
mod logging;
mod one_writer;
mod postgres;
#[path = "../crash/process.rs"]
mod process;
mod rebuilding;
mod reconciling;
mod restoring;
mod rights;
mod serving;
mod settings;
mod standard_output;
mod tampering;
mod terminal;
mod tool;
