//! Settings of collection: how fast, and when to stop.

use std::{ops::RangeInclusive, str::FromStr};

use chrono::TimeDelta;

use super::{RawSettings, SettingError, checked::duration};
use crate::{collector::BrakeSettings, storage::PaceSettings};

const YEAR: u64 = 365 * 86_400;

pub(super) fn pace(raw: &RawSettings) -> Result<PaceSettings, SettingError> {
    let (per_second, parallel) = (raw.s3_requests_per_second.as_deref(), raw.s3_parallel_requests.as_deref());
    Ok(PaceSettings {
        requests_per_second: number("s3_requests_per_second", per_second, 2000, 1..=100_000)?,
        parallel_requests: number("s3_parallel_requests", parallel, 32, 1..=1000)?,
    })
}

pub(super) fn brake(raw: &RawSettings) -> Result<BrakeSettings, SettingError> {
    Ok(BrakeSettings {
        share: percent("brake_share", raw.brake_share.as_deref(), 50)?,
        above: number("brake_above", raw.brake_above.as_deref(), 1000, 0..=1_000_000_000)?,
        window: span("brake_window", raw.brake_window.as_deref(), 3600, 60..=YEAR, "1m to 365d")?,
        silence: span("brake_silence", raw.brake_silence.as_deref(), 6 * 3600, 1..=YEAR, "1s to 365d")?,
    })
}

fn percent(setting: &'static str, raw: Option<&str>, default: u8) -> Result<u8, SettingError> {
    let Some(raw) = raw else { return Ok(default) };
    match raw.strip_suffix('%').map(str::parse) {
        Some(Ok(percent @ 1..=100)) => Ok(percent),
        _ => Err(SettingError::new(setting, format!("{raw:?} must be 1% to 100%"))),
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    setting: &'static str,
    raw: Option<&str>,
    default: T,
    allowed: RangeInclusive<T>,
) -> Result<T, SettingError> {
    let Some(raw) = raw else { return Ok(default) };
    match raw.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (allowed.start(), allowed.end());
            Err(SettingError::new(setting, format!("{raw:?} must be {least} to {most}")))
        }
    }
}

/// A duration whose bounds are seconds, and what they are called.
fn span(
    setting: &'static str,
    raw: Option<&str>,
    default: u64,
    allowed: RangeInclusive<u64>,
    called: &str,
) -> Result<TimeDelta, SettingError> {
    let span = duration(setting, raw, default)?;
    match TimeDelta::from_std(span) {
        Ok(delta) if allowed.contains(&span.as_secs()) => Ok(delta),
        _ => Err(SettingError::new(setting, format!("must be {called}"))),
    }
}
