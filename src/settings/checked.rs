//! Settings as the service uses them: typed, bounded, and checked against each other.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use chrono::TimeDelta;
use zeroload_domain::{ByteSize, KeyPrefix, Policy, policy::MAX_SINGLE_PUT};
use zeroload_journal::postgres;

use super::{
    RawSettings, SettingError, collecting, reconciling, s3,
    values::{duration, must_be, truth},
};
use crate::{
    background::collector::BrakeSettings,
    database::Database,
    http::{AllowedHosts, ApiKeys, HOSTS_MUST_BE},
    media::service::ChecksumPolicy,
    outbound::client::Recipient,
    storage::{GatewaySettings, PaceSettings, PublicAddress},
};

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// The host names under which clients may call.
    pub allowed_hosts: AllowedHosts,
    pub data_dir: PathBuf,
    pub database: Database,
    /// The real bucket; absent if the embedded server is used.
    pub s3: Option<GatewaySettings>,
    pub s3_prefix: KeyPrefix,
    pub adopt_bucket: bool,
    /// How long one call waits for the S3 server, over all its requests.
    pub s3_timeout: Duration,
    pub embedded_s3_listen: SocketAddr,
    /// Where clients reach the embedded server; absent if that is the address on which the server listens.
    pub embedded_s3_public: Option<PublicAddress>,
    pub policy: Policy,
    /// When a collected item is re-checked, counted from its collection.
    pub recheck_after: Vec<Duration>,
    /// Pause between the end of a collection run and the start of the next, and likewise for the inspector.
    pub collect_every: Duration,
    /// Keys per delete call.
    pub delete_page: usize,
    pub checksum_policy: ChecksumPolicy,
    pub pace: PaceSettings,
    pub brake: BrakeSettings,
    /// The backend's review; absent if no review is set.
    pub review: Option<Recipient>,
    /// From the beginning of one reconciliation to that of the next; absent if none begins by itself.
    pub reconcile_every: Option<Duration>,
    /// Requests to S3 per second that a reconciliation makes at most.
    pub reconcile_rate: u32,
    /// How old an object of no item must be before it may be deleted.
    pub reconcile_unknown_age: TimeDelta,
    /// The file of API keys, and the keys that it held at the start.
    pub api_keys: Option<(PathBuf, ApiKeys)>,
}

impl TryFrom<RawSettings> for Settings {
    type Error = SettingError;

    fn try_from(raw: RawSettings) -> Result<Self, SettingError> {
        let api_keys = raw.api_keys.as_deref().map(read_keys).transpose()?;
        let listen = address("listen", raw.listen.as_deref(), "127.0.0.1:8080")?;
        let allow_insecure = truth("allow_insecure", raw.allow_insecure.as_deref())?.unwrap_or(false);
        if !listen.ip().is_loopback() && api_keys.is_none() && !allow_insecure {
            return Err(SettingError::new(
                "listen",
                format!(
                    "{listen} is reachable from other machines, which needs api_keys (or an explicit allow_insecure)"
                ),
            ));
        }
        let data_dir = PathBuf::from(raw.data_dir.as_deref().unwrap_or("./zeroload-data"));
        let s3_prefix = KeyPrefix::parse(raw.s3_prefix.as_deref().unwrap_or("media"))
            .map_err(|e| SettingError::new("s3_prefix", must_be(e.allowed)))?;
        Ok(Self {
            listen,
            allowed_hosts: allowed_hosts(raw.allowed_hosts.as_deref(), api_keys.is_some())?,
            database: database(&raw, &data_dir)?,
            s3: s3::real(&raw, &s3_prefix)?,
            s3_prefix,
            adopt_bucket: truth("adopt_bucket", raw.adopt_bucket.as_deref())?.unwrap_or(false),
            s3_timeout: s3_timeout(raw.s3_timeout.as_deref())?,
            embedded_s3_listen: address("embedded_s3_listen", raw.embedded_s3_listen.as_deref(), "127.0.0.1:9000")?,
            embedded_s3_public: s3::embedded_public(&raw)?,
            policy: policy(&raw)?,
            recheck_after: recheck_after(raw.recheck_after.as_deref())?,
            collect_every: at_least_a_second(
                "collect_every",
                duration("collect_every", raw.collect_every.as_deref(), 60)?,
            )?,
            delete_page: delete_page(raw.delete_page.as_deref())?,
            checksum_policy: checksum_policy(raw.checksum_policy.as_deref())?,
            pace: collecting::pace(&raw)?,
            brake: collecting::brake(&raw)?,
            review: collecting::review(&raw)?,
            reconcile_every: reconciling::every(raw.reconcile_every.as_deref())?,
            reconcile_rate: reconciling::rate(raw.reconcile_rate.as_deref())?,
            reconcile_unknown_age: reconciling::unknown_age(raw.reconcile_unknown_age.as_deref())?,
            api_keys,
            data_dir,
        })
    }
}

fn allowed_hosts(raw: Option<&str>, has_keys: bool) -> Result<AllowedHosts, SettingError> {
    let Some(raw) = raw else { return Ok(AllowedHosts::by_default(has_keys)) };
    AllowedHosts::parse(raw).ok_or_else(|| SettingError::new("allowed_hosts", must_be(HOSTS_MUST_BE)))
}

fn address(setting: &'static str, raw: Option<&str>, default: &str) -> Result<SocketAddr, SettingError> {
    let raw = raw.unwrap_or(default);
    SocketAddr::from_str(raw)
        .map_err(|_| SettingError::new(setting, format!("{raw:?} must be an address such as {default}")))
}

fn at_least_a_second(setting: &'static str, duration: Duration) -> Result<Duration, SettingError> {
    if duration < Duration::from_secs(1) || duration > Duration::from_secs(86_400 * 365) {
        return Err(SettingError::new(setting, "must be 1s to 365d"));
    }
    Ok(duration)
}

fn s3_timeout(raw: Option<&str>) -> Result<Duration, SettingError> {
    const BOUNDS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
    let timeout = duration("s3_timeout", raw, 10)?;
    if BOUNDS.contains(&timeout) { Ok(timeout) } else { Err(SettingError::new("s3_timeout", must_be("1s to 5m"))) }
}

fn database(raw: &RawSettings, data_dir: &std::path::Path) -> Result<Database, SettingError> {
    let password = password(raw)?;
    let url = raw.database_url.as_deref().unwrap_or_default();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        // The error repeats nothing of the value but its parameters: the value may hold a password.
        let settings = postgres::Settings::parse(url)
            .and_then(|settings| postgres::Settings::check_files(url).map(|()| settings))
            .map_err(|e| SettingError::new("database_url", e.to_string()))?;
        return Ok(Database::Postgres(Box::new(match password {
            Some(password) => settings.with_password(&password),
            None => settings,
        })));
    }
    if password.is_some() {
        let setting = if raw.database_password.is_some() { "database_password" } else { "database_password_file" };
        return Err(SettingError::new(setting, "needs a database_url that begins with postgres://"));
    }
    if raw.database_url.is_none() {
        return Ok(Database::Sqlite(data_dir.join("journal.db")));
    }
    let path = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    match path {
        Some(path) if !path.is_empty() && !path.contains('?') && path != ":memory:" => {
            Ok(Database::Sqlite(PathBuf::from(path)))
        }
        _ => Err(SettingError::new("database_url", "must be sqlite:PATH or postgres://USER@HOST[:PORT]/DATABASE")),
    }
}

fn password(raw: &RawSettings) -> Result<Option<String>, SettingError> {
    match (&raw.database_password, &raw.database_password_file) {
        (Some(_), Some(_)) => {
            Err(SettingError::new("database_password_file", "must not be set together with database_password"))
        }
        (Some(password), None) => Ok(Some(password.clone())),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                SettingError::new("database_password_file", format!("{path} cannot be read: {error}"))
            })?;
            // An editor ends the last line of the file with a line break, which is not part of the password.
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, None) => Ok(None),
    }
}

fn policy(raw: &RawSettings) -> Result<Policy, SettingError> {
    let delta = |setting, raw: Option<&str>, default| -> Result<TimeDelta, SettingError> {
        TimeDelta::from_std(duration(setting, raw, default)?)
            .map_err(|_| SettingError::new(setting, "must be at most 36500d"))
    };
    let max_content_length = match raw.max_content_length.as_deref() {
        None => MAX_SINGLE_PUT,
        Some(raw) => raw
            .parse::<bytesize::ByteSize>()
            .map_err(|_| {
                SettingError::new("max_content_length", format!("{raw:?} must be bytes, such as 1048576 or 5GiB"))
            })?
            .as_u64(),
    };
    let trash = delta("trash", raw.trash.as_deref(), 0)?;
    Policy::new(
        delta("ticket_ttl", raw.ticket_ttl.as_deref(), 300)?,
        delta("grace", raw.grace.as_deref(), 86_400)?,
        delta("max_pending", raw.max_pending.as_deref(), 7 * 86_400)?,
        delta("late_write_margin", raw.late_write_margin.as_deref(), 900)?,
        ByteSize::new(max_content_length),
    )
    .and_then(|policy| policy.with_trash(trash))
    .map_err(|error| SettingError::new(error.setting, must_be(&error.allowed)))
}

fn recheck_after(raw: Option<&str>) -> Result<Vec<Duration>, SettingError> {
    const MOST: usize = 8;
    const BOUNDS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400 * 36_500);
    let raw = raw.unwrap_or("1h,24h");
    let parts = raw.split(',').map(str::trim).filter(|_| !raw.trim().is_empty());
    let times: Option<Vec<_>> =
        parts.map(|part| humantime::parse_duration(part).ok().filter(|time| BOUNDS.contains(time))).collect();
    times.filter(|times| times.len() <= MOST).ok_or_else(|| {
        let allowed = "up to 8 times of 1s to 36500d with commas between, or empty";
        SettingError::new("recheck_after", format!("{raw:?} must be {allowed}"))
    })
}

fn checksum_policy(raw: Option<&str>) -> Result<ChecksumPolicy, SettingError> {
    match raw {
        None | Some("trust") => Ok(ChecksumPolicy::Trust),
        Some("require") => Ok(ChecksumPolicy::Require),
        Some(other) => Err(SettingError::new("checksum_policy", format!("{other:?} must be trust or require"))),
    }
}

fn delete_page(raw: Option<&str>) -> Result<usize, SettingError> {
    let Some(raw) = raw else { return Ok(500) };
    match raw.parse() {
        Ok(keys @ 1..=1000) => Ok(keys),
        _ => Err(SettingError::new("delete_page", format!("{raw:?} must be 1 to 1000"))),
    }
}

fn read_keys(path: &str) -> Result<(PathBuf, ApiKeys), SettingError> {
    let path = PathBuf::from(path);
    let keys = ApiKeys::read(&path).map_err(|error| SettingError::new("api_keys", error.to_string()))?;
    Ok((path, keys))
}

#[cfg(test)]
mod tests;
