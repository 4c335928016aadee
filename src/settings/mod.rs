//! Settings: raw (flags, then environment, then file), then checked. A bad value stops the start and names its setting.

mod aws;
mod checked;
mod collecting;
mod keys;
mod raw;
mod reconciling;
mod s3;

pub use aws::AwsVariables;
pub use checked::Settings;
pub use keys::{ApiKey, ApiKeys, KeysError, Role};
pub use raw::RawSettings;
pub use s3::S3Settings;

/// A setting that cannot be used, with what is allowed.
#[derive(Debug, thiserror::Error)]
#[error("setting {setting}: {problem}")]
pub struct SettingError {
    pub setting: &'static str,
    pub problem: String,
}

/// What is wrong in a TOML file, and where. Its own words would show the line, which may hold a secret.
fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

impl SettingError {
    fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self { setting, problem: problem.into() }
    }
}
