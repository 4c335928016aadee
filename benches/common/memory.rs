//! Main memory of a process.

use std::fs;

use crate::Failure;

/// Bytes of main memory, as the kernel counts them.
#[derive(Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// By the id of the process, or of this one as `self`.
pub fn of(process: &str) -> Result<Memory, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).ok_or("no such line in /proc")
    };
    Ok(Memory { resident: kib("VmRSS:")? * 1024, peak: kib("VmHWM:")? * 1024 })
}
