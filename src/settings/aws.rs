//! The environment variables of AWS's own tools that concern the address of S3. The AWS SDK itself finds keys, profiles
//! and the region; each variable here either counts as a setting, or is checked against the settings and may stop the
//! start.

/// Variables of AWS's tools that are set and not empty.
#[derive(Clone, Default)]
pub struct AwsVariables {
    /// The address of S3, and the name of the variable that holds it.
    pub endpoint: Option<(&'static str, String)>,
    pub use_fips: Option<String>,
    pub use_dual_stack: Option<String>,
    pub region: Option<String>,
    pub access_key: Option<String>,
    pub session_token: Option<String>,
}

impl AwsVariables {
    /// Reads the variables. `variable` returns the value of one.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let ignored = set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let named = |name: &'static str| set(name).map(|value| (name, value));
        let endpoint = named("AWS_ENDPOINT_URL_S3").or_else(|| named("AWS_ENDPOINT_URL"));
        Self {
            endpoint: endpoint.filter(|_| !ignored),
            use_fips: set("AWS_USE_FIPS_ENDPOINT"),
            use_dual_stack: set("AWS_USE_DUALSTACK_ENDPOINT"),
            region: set("AWS_REGION"),
            access_key: set("AWS_ACCESS_KEY_ID"),
            session_token: set("AWS_SESSION_TOKEN"),
        }
    }
}
