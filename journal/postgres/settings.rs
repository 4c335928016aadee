//! Where the database is and how to speak to it.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::OpenError;
use crate::error::StoreError;

const PARAMETERS: [&str; 7] = ["application_name", "host", "pgbouncer", "sslcert", "sslkey", "sslmode", "sslrootcert"];
const FILES: [&str; 3] = ["sslcert", "sslkey", "sslrootcert"];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// On the server. Whoever waits for the head's lock so long has no hope; an append takes milliseconds.
const SESSION: [(&str, &str); 5] = [
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read\\ committed"),
    ("statement_timeout", "20s"),
    ("lock_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "20s"),
];

/// How to reach the database. Neither shown nor logged with its password.
#[derive(Clone)]
pub struct Settings {
    pub(super) options: PgConnectOptions,
    /// A pooler in transaction mode stands between: each statement may meet another session, so that none is
    /// prepared for later, nothing is set on the session, and each query is a transaction.
    pub(super) pooled: bool,
}

/// Why a URL names no database. Never holds the URL: there may be a password in it.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("a PostgreSQL URL begins with postgres:// or postgresql://")]
    Scheme,
    #[error("parameter {name:?} is unknown; allowed are {}", PARAMETERS.join(", "))]
    Parameter { name: String },
    #[error("parameter {name} is {value:?}; allowed are {allowed}")]
    Value { name: &'static str, value: String, allowed: String },
    #[error("parameter {name} is {value:?}, which cannot be read: {source}")]
    File { name: String, value: String, source: std::io::Error },
    #[error("the PostgreSQL URL is not valid")]
    Url {
        #[source]
        source: sqlx::Error,
    },
}

impl Settings {
    /// Takes `postgres://user:password@host:port/database` with any of the parameters `application_name`, `host` (of
    /// a socket's folder), `pgbouncer`, `sslcert`, `sslkey`, `sslmode` and `sslrootcert`.
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(SettingsError::Scheme);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut pooled, mut kept) = (false, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "pgbouncer" => pooled = parse_bool(value)?,
                "sslmode" if !SSL_MODES.contains(&value) => {
                    return Err(SettingsError::Value {
                        name: "sslmode",
                        value: value.to_owned(),
                        allowed: SSL_MODES.join(", "),
                    });
                }
                _ if PARAMETERS.contains(&name) => kept.push(parameter),
                _ => return Err(SettingsError::Parameter { name: name.to_owned() }),
            }
        }
        let options = PgConnectOptions::from_str(&format!("{base}?{}", kept.join("&")))
            .map_err(|source| SettingsError::Url { source })?;
        Ok(Self { options: prepared(options, pooled), pooled })
    }

    /// Whether the files that a URL names can be read: the driver's own error does not say which.
    ///
    /// # Errors
    /// [`SettingsError::File`].
    pub fn check_files(url: &str) -> Result<(), SettingsError> {
        let parameters = url.split_once('?').map_or("", |(_, query)| query).split('&');
        let named = parameters.filter_map(|parameter| parameter.split_once('='));
        // An encoded path is left to the driver.
        for (name, value) in named.filter(|(name, value)| FILES.contains(name) && !value.contains('%')) {
            std::fs::File::open(value).map_err(|source| SettingsError::File {
                name: name.to_owned(),
                value: value.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// The same place with a password that does not stand in the URL.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.options = self.options.password(password);
        self
    }

    /// For other connections to the same database.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Whether a pooler in transaction mode stands between.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// For logs: where, without who and with what password.
    pub fn place(&self) -> String {
        let database = self.options.get_database().unwrap_or(self.options.get_username());
        match self.options.get_socket() {
            Some(socket) => format!("postgres://{}/{database}", socket.display()),
            None => format!("postgres://{}:{}/{database}", self.options.get_host(), self.options.get_port()),
        }
    }

    pub(super) fn failed(&self, source: StoreError) -> OpenError {
        OpenError::Database { place: self.place(), source }
    }
}

fn prepared(options: PgConnectOptions, pooled: bool) -> PgConnectOptions {
    use sqlx::ConnectOptions;

    let options = options.disable_statement_logging();
    if pooled {
        // A pooler refuses settings at connect that it does not know.
        options.statement_cache_capacity(0).extra_float_digits(None)
    } else {
        options.options(SESSION)
    }
}

fn parse_bool(value: &str) -> Result<bool, SettingsError> {
    value.parse().map_err(|_| SettingsError::Value {
        name: "pgbouncer",
        value: value.to_owned(),
        allowed: "true, false".to_owned(),
    })
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("place", &self.place()).field("pooled", &self.pooled).finish()
    }
}
