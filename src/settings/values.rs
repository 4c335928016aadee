//! Parsers of values that many settings have: truth values and durations.

use std::time::Duration;

use super::SettingError;

pub(super) fn must_be(allowed: &str) -> String {
    format!("must be {allowed}")
}

pub(super) fn truth(setting: &'static str, raw: Option<&str>) -> Result<Option<bool>, SettingError> {
    raw.map(|raw| raw.parse().map_err(|_| SettingError::new(setting, format!("{raw:?} must be true or false"))))
        .transpose()
}

pub(super) fn duration(
    setting: &'static str,
    raw: Option<&str>,
    default_seconds: u64,
) -> Result<Duration, SettingError> {
    let Some(raw) = raw else { return Ok(Duration::from_secs(default_seconds)) };
    humantime::parse_duration(raw).map_err(|error| {
        SettingError::new(setting, format!("{raw:?} must be a duration such as 90s, 5m, 24h or 7d ({error})"))
    })
}
