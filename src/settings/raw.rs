//! Settings as they are written: every value is a string, and absent if it is not set.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::{AwsVariables, SettingError};
use crate::outside::toml_problem;

/// The file that is read when no `--config` names one.
const DEFAULT_FILE: &str = "zeroload.toml";

/// Declares each setting once: its flag, its variable and its member of the TOML file have one name. Settings are
/// listed under the heading that `--help` shows.
macro_rules! raw_settings {
    ($([$heading:literal] $($(#[$attribute:meta])* $name:ident: $env:literal,)*)*) => {
        /// The values from flags and environment, and those that the file adds.
        #[derive(Args, Clone, Default)]
        pub struct RawSettings {
            /// A TOML file with settings [default: ./zeroload.toml where it exists]
            #[arg(long, global = true, env = "ZEROLOAD_CONFIG", value_name = "FILE")]
            pub config: Option<PathBuf>,
            $($(
                $(#[$attribute])*
                #[arg(long, global = true, env = $env, value_name = "VALUE", hide_env_values = true, help_heading = $heading)]
                pub $name: Option<String>,
            )*)*
            #[arg(skip)]
            pub aws: AwsVariables,
        }

        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields)]
        struct File {
            $($(#[serde(default)] $name: Option<toml::Value>,)*)*
        }

        impl RawSettings {
            /// Takes from the file the values of settings that neither flags nor environment set.
            ///
            /// # Errors
            /// [`SettingError`] if the file cannot be read or holds a name that is no setting.
            pub fn with_file(mut self) -> Result<Self, SettingError> {
                let file = read_file(self.config.as_deref())?;
                $($(
                    if self.$name.is_none() {
                        self.$name = file.$name.map(|value| to_text(stringify!($name), value)).transpose()?;
                    }
                )*)*
                Ok(self)
            }

            /// Adds the variables of AWS's own tools from the process's environment.
            #[must_use]
            pub fn with_aws_variables(self) -> Self {
                Self { aws: AwsVariables::read(|name| std::env::var(name).ok()), ..self }
            }
        }
    };
}

raw_settings! {
    ["Serving"]
    /// Address of the HTTP interface [default: 127.0.0.1:8080]
    listen: "ZEROLOAD_LISTEN",
    /// Serve another address than loopback although no API keys are set: true or false [default: false]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    allow_insecure: "ZEROLOAD_ALLOW_INSECURE",
    /// Names by which clients may ask, with commas between, or * for any; addresses and localhost always may
    /// [default: any with api_keys, else none]
    allowed_hosts: "ZEROLOAD_ALLOWED_HOSTS",
    /// TOML file of API keys; reread on SIGHUP
    api_keys: "ZEROLOAD_API_KEYS",
    ["Journal"]
    /// Folder of the SQLite journal and the embedded bucket [default: ./zeroload-data]
    data_dir: "ZEROLOAD_DATA_DIR",
    /// Journal database, sqlite:PATH or postgres://USER@HOST/DATABASE [default: journal.db in data_dir]
    database_url: "ZEROLOAD_DATABASE_URL",
    /// Password for Postgres, where it does not stand in database_url [default: PGPASSWORD, or ~/.pgpass]
    database_password: "ZEROLOAD_DATABASE_PASSWORD",
    /// File that holds database_password
    database_password_file: "ZEROLOAD_DATABASE_PASSWORD_FILE",
    ["Bucket"]
    /// Bucket of a real S3; without it the embedded server is used
    s3_bucket: "ZEROLOAD_S3_BUCKET",
    /// Address of the S3 server, such as http://127.0.0.1:7480 [default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS in
    /// s3_region]
    s3_endpoint: "ZEROLOAD_S3_ENDPOINT",
    /// Address at which clients reach that server, if it is another one [default: s3_endpoint]
    s3_public_endpoint: "ZEROLOAD_S3_PUBLIC_ENDPOINT",
    /// Where the bucket stands in that address: path, host, or bucket if the address is the bucket's own [default: as
    /// s3_path_style]
    s3_public_style: "ZEROLOAD_S3_PUBLIC_STYLE",
    /// What stands at that address gives S3 the Host that clients send: true or false [default: true]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    s3_public_keeps_host: "ZEROLOAD_S3_PUBLIC_KEEPS_HOST",
    /// Region that requests are signed for [default: as the AWS SDK finds it; with s3_endpoint else us-east-1]
    s3_region: "ZEROLOAD_S3_REGION",
    /// Bucket in the path instead of the host name: true or false [default: true with s3_endpoint, else false]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    s3_path_style: "ZEROLOAD_S3_PATH_STYLE",
    /// Whether the bucket keeps or once kept versions, where the server does not say: auto, off or on [default: auto]
    s3_versioning: "ZEROLOAD_S3_VERSIONING",
    /// Folder in the bucket that belongs to zeroload [default: media]
    s3_prefix: "ZEROLOAD_S3_PREFIX",
    /// Access key [default: as the AWS SDK finds credentials]
    s3_access_key: "ZEROLOAD_S3_ACCESS_KEY",
    /// Secret of s3_access_key
    s3_secret_key: "ZEROLOAD_S3_SECRET_KEY",
    /// Session token of s3_access_key, where it is a temporary one
    s3_session_token: "ZEROLOAD_S3_SESSION_TOKEN",
    /// Access key that only signs tickets; it needs no right but PutObject under s3_prefix [default: s3_access_key]
    s3_ticket_access_key: "ZEROLOAD_S3_TICKET_ACCESS_KEY",
    /// Secret of s3_ticket_access_key
    s3_ticket_secret_key: "ZEROLOAD_S3_TICKET_SECRET_KEY",
    /// Mark a bucket as this journal's although the journal has history, and the bucket no marker or one that has seen
    /// commits which a restore took away: true or false [default: false]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    adopt_bucket: "ZEROLOAD_ADOPT_BUCKET",
    /// How long one call waits for the S3 server, in all that it asks there, 1s to 5m [default: 10s]
    s3_timeout: "ZEROLOAD_S3_TIMEOUT",
    /// What a confirm does where a checksum was declared and the bucket shows none: trust or require [default: trust]
    checksum_policy: "ZEROLOAD_CHECKSUM_POLICY",
    ["Embedded S3 server"]
    /// Address of the embedded S3 server [default: 127.0.0.1:9000]
    embedded_s3_listen: "ZEROLOAD_EMBEDDED_S3_LISTEN",
    /// Address at which clients reach the embedded S3 server [default: where it listens]
    embedded_s3_public_endpoint: "ZEROLOAD_EMBEDDED_S3_PUBLIC_ENDPOINT",
    ["Tickets"]
    /// Life of a ticket, 1s to 7d [default: 5m]
    ticket_ttl: "ZEROLOAD_TICKET_TTL",
    /// Time to confirm, longer than ticket_ttl [default: 24h]
    grace: "ZEROLOAD_GRACE",
    /// How long after the request a ticket may still be renewed [default: 7d]
    max_pending: "ZEROLOAD_MAX_PENDING",
    /// Largest media, in bytes or as 5GiB [default: 5GiB, S3's limit for one PUT]
    max_content_length: "ZEROLOAD_MAX_CONTENT_LENGTH",
    ["Collection"]
    /// Added to a ticket's expiry before anything may be collected [default: 15m]
    late_write_margin: "ZEROLOAD_LATE_WRITE_MARGIN",
    /// When a collected item is looked at again, counted from its collection; with commas between, may be empty
    /// [default: 1h,24h]
    recheck_after: "ZEROLOAD_RECHECK_AFTER",
    /// Pause between two collection runs, 1s or more [default: 60s]
    collect_every: "ZEROLOAD_COLLECT_EVERY",
    /// How long what is collected is kept in the trash and can be restored, 0s to 3650d [default: 0s, it is deleted]
    trash: "ZEROLOAD_TRASH",
    /// Keys per delete call, 1 to 1000 [default: 500]
    delete_page: "ZEROLOAD_DELETE_PAGE",
    /// Requests to S3 per second that collection may make [default: 2000]
    s3_requests_per_second: "ZEROLOAD_S3_REQUESTS_PER_SECOND",
    /// Requests to S3 that collection may have under way at once [default: 32]
    s3_parallel_requests: "ZEROLOAD_S3_PARALLEL_REQUESTS",
    ["Brake"]
    /// Percent of the items whose time ended lately that may be unconfirmed; above it collection stops, 100% is never [default: 50%]
    brake_share: "ZEROLOAD_BRAKE_SHARE",
    /// Unconfirmed items up to which brake_share is not looked at [default: 1000]
    brake_above: "ZEROLOAD_BRAKE_ABOVE",
    /// What lately means for brake_share, 1m or more [default: 1h]
    brake_window: "ZEROLOAD_BRAKE_WINDOW",
    /// How long requests may go on without any confirm before collection stops, 1s or more [default: 6h]
    brake_silence: "ZEROLOAD_BRAKE_SILENCE",
    ["Review"]
    /// Asked before each claim which items are in use [default: nobody is asked]
    review_url: "ZEROLOAD_REVIEW_URL",
    /// Signs these questions: whsec_ and the base64 of 24 to 64 bytes
    review_secret: "ZEROLOAD_REVIEW_SECRET",
    /// How long an answer may take, 1s to 5m [default: 10s]
    review_timeout: "ZEROLOAD_REVIEW_TIMEOUT",
    /// Ask private addresses too, and without TLS: true or false [default: false]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    review_allow_private: "ZEROLOAD_REVIEW_ALLOW_PRIVATE",
    ["Reconciliation"]
    /// Time from one reconciliation of bucket and journal to the next, off or 1h and more [default: 7d]
    reconcile_every: "ZEROLOAD_RECONCILE_EVERY",
    /// Requests per second to S3 that a reconciliation makes at most, 1 to 1000 [default: 20]
    reconcile_rate: "ZEROLOAD_RECONCILE_RATE",
    /// How old an object of no item must be before `reconcile --delete-unknown` deletes it, 24h or more [default: 7d]
    reconcile_unknown_age: "ZEROLOAD_RECONCILE_UNKNOWN_AGE",
}

fn read_file(named: Option<&Path>) -> Result<File, SettingError> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(SettingError::new("config", format!("{} cannot be read: {error}", path.display()))),
    };
    toml::from_str(&text)
        .map_err(|error| SettingError::new("config", format!("{}: {}", path.display(), toml_problem(&text, &error))))
}

/// A value of the file, which may be written as text, number or truth value, as text.
fn to_text(setting: &'static str, value: toml::Value) -> Result<String, SettingError> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        _ => Err(SettingError::new(setting, "must be a text, a whole number, true or false")),
    }
}
