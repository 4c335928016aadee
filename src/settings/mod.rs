//! Settings: raw (flags, then environment, then file), then checked. A bad value stops the start and names its setting.

mod aws;
mod checked;
mod collecting;
mod raw;
mod reconciling;
mod s3;
mod values;

pub use aws::AwsVariables;
pub use checked::Settings;
pub use raw::RawSettings;

/// A setting that cannot be used, with the values that are allowed.
#[derive(Debug, thiserror::Error)]
#[error("setting {setting}: {problem}")]
pub struct SettingError {
    pub setting: &'static str,
    pub problem: String,
}

impl SettingError {
    fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self { setting, problem: problem.into() }
    }
}
