//! Settings of collection: rate limits, the brake, and the review.

use std::{ops::RangeInclusive, str::FromStr};

use chrono::TimeDelta;

use super::{
    RawSettings, SettingError,
    values::{duration, truth},
};
use crate::{
    background::collector::BrakeSettings,
    outbound::client::Recipient,
    outbound::{address::Reach, signature::Secret},
    storage::PaceSettings,
};

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

pub(super) fn review(raw: &RawSettings) -> Result<Option<Recipient>, SettingError> {
    let allow_private = truth("review_allow_private", raw.review_allow_private.as_deref())?;
    let timeout = span("review_timeout", raw.review_timeout.as_deref(), 10, 1..=300, "1s to 5m")?;
    let secret = raw.review_secret.as_deref().map(Secret::parse);
    // The error does not repeat the value: it is a secret, or nearly one.
    let bad = || SettingError::new("review_secret", "must be whsec_ and the base64 of 24 to 64 bytes");
    let secret = secret.map(|parsed| parsed.ok_or_else(bad)).transpose()?;
    let Some(url) = raw.review_url.as_deref() else {
        let orphan = [("review_secret", secret.is_some()), ("review_allow_private", allow_private == Some(true))];
        return match orphan.iter().find(|(_, set)| *set) {
            Some((setting, _)) => Err(SettingError::new(setting, "needs review_url")),
            None => Ok(None),
        };
    };
    let must_be = |what: &str| SettingError::new("review_url", format!("must be {what}"));
    let url = url.parse().map_err(|_| must_be(Reach::MUST_BE))?;
    let reach = Reach::of(&url, allow_private.unwrap_or(false)).map_err(must_be)?;
    let secret = secret.ok_or_else(|| SettingError::new("review_secret", "must be set with review_url"))?;
    let timeout = timeout.to_std().unwrap_or_default();
    Ok(Some(Recipient { url, reach, secret, timeout }))
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

/// A duration within bounds in seconds; `called` names the bounds in the error.
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
