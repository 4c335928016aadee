//! Settings of reconciliation: when and how fast bucket and journal are compared.

use std::time::Duration;

use chrono::TimeDelta;

use super::{SettingError, values::duration};
use crate::background::reconciler::LEAST_AGE;

const DAY: u64 = 86_400;

/// The time between two walks; `None` if no walk begins by itself.
pub(super) fn every(raw: Option<&str>) -> Result<Option<Duration>, SettingError> {
    if raw == Some("off") {
        return Ok(None);
    }
    let refused = || SettingError::new("reconcile_every", "must be off, or 1h to 365d");
    let every = duration("reconcile_every", raw, 7 * DAY).map_err(|_| refused())?;
    let fits = every >= Duration::from_secs(3600) && every <= Duration::from_secs(365 * DAY);
    if fits { Ok(Some(every)) } else { Err(refused()) }
}

pub(super) fn rate(raw: Option<&str>) -> Result<u32, SettingError> {
    let Some(raw) = raw else { return Ok(20) };
    match raw.parse() {
        Ok(rate @ 1..=1000) => Ok(rate),
        _ => Err(SettingError::new("reconcile_rate", format!("{raw:?} must be 1 to 1000"))),
    }
}

pub(super) fn unknown_age(raw: Option<&str>) -> Result<TimeDelta, SettingError> {
    let age = duration("reconcile_unknown_age", raw, 7 * DAY)?;
    let age = TimeDelta::from_std(age).ok().filter(|age| (LEAST_AGE..=TimeDelta::days(36_500)).contains(age));
    age.ok_or_else(|| SettingError::new("reconcile_unknown_age", "must be 24h to 36500d"))
}
