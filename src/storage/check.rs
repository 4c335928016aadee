//! The checks of a probe and of readiness, and their results.

use std::fmt;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    Ok,
    /// The service works, with a shortcoming.
    Degraded,
    /// The service cannot work like this.
    Failed,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable; `s3-…`.
    pub name: &'static str,
    pub status: Status,
    /// A sentence without a full stop, for people.
    pub detail: String,
}

/// The results of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// In the order in which they were made; checks that an earlier failure made impossible are left out.
    pub checks: Vec<Check>,
    /// The bucket keeps or has kept versions, so a plain delete frees nothing: each version is deleted by its id.
    pub versioned: bool,
    /// A check failed or gave no result, and a later probe may end otherwise.
    pub unsettled: bool,
}

impl ProbeReport {
    /// The worst status of all checks.
    pub fn status(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
    }

    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}
