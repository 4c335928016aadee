//! What the variables of AWS's own tools say about where S3 is. Keys, profiles and the region are found by the AWS SDK; what
//! is here either counts as if it were a setting, or stops the start.

/// Variables of AWS's tools that are set, and not to nothing.
#[derive(Clone, Default)]
pub struct AwsVariables {
    /// The address of S3, and the variable that has it.
    pub endpoint: Option<(&'static str, String)>,
    pub use_fips: Option<String>,
    pub use_dual_stack: Option<String>,
    pub region: Option<String>,
    pub access_key: Option<String>,
    pub session_token: Option<String>,
}

impl AwsVariables {
    /// `variable` says what a variable holds.
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
