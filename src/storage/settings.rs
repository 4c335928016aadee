//! The bucket that the gateway serves, and its access keys.

use std::fmt;

use aws_credential_types::Credentials;
use zeroload_domain::{Bucket, KeyPrefix, Store};

/// An access key from the settings. Without a session token it does not expire.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticKeys {
    pub access_key: String,
    pub secret_key: String,
    /// Makes these temporary keys, whose expiry is not known.
    pub session_token: Option<String>,
}

impl StaticKeys {
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key, &self.secret_key, self.session_token.clone(), None, "settings")
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Where the bucket stands in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `http://host/bucket/key`
    Path,
    /// `http://bucket.host/key`
    Host,
    /// `http://host/key`: the address is the bucket's own.
    Bucket,
}

/// Where clients reach the server, if that is another address than this process uses: a published port, or a proxy or
/// CDN in front of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicAddress {
    /// `http://` or `https://` with a host, perhaps a path, and no slash at its end.
    pub endpoint: String,
    pub style: Style,
    /// True: the server sees `Host` and path as clients send them, and these are signed. False: a proxy or CDN at the
    /// address asks the server with the same `Host` and path as this process, and those are signed.
    pub keeps_host: bool,
}

/// Why no request can be signed for a region of this name, if so.
pub fn unusable_region(region: &str) -> Option<&'static str> {
    if region == "aws-global" {
        return Some("names no region: give the bucket's own");
    }
    let is_pseudo = region.starts_with("fips-") || region.ends_with("-fips");
    is_pseudo.then_some("is no region's name: give the region, and set AWS_USE_FIPS_ENDPOINT to true")
}

/// What [`Gateway::connect`](super::Gateway::connect) needs to know.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    pub bucket: Bucket,
    /// The name of the S3 server, as items record it; only items of this store and bucket are served.
    pub store: Store,
    /// `http://` or `https://` with a host; AWS's own endpoint of the region if absent.
    pub endpoint: Option<String>,
    /// The address in tickets, if not `endpoint`.
    pub public: Option<PublicAddress>,
    /// If absent, as the AWS SDK finds it; with an `endpoint`, `us-east-1` if the SDK finds none.
    pub region: Option<String>,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`.
    pub path_style: bool,
    /// AWS's endpoint with validated cryptography (FIPS 140).
    pub fips: bool,
    /// AWS's endpoint that has addresses of IPv6 too.
    pub dual_stack: bool,
    /// No key outside this prefix is written or deleted.
    pub prefix: KeyPrefix,
    /// If absent, as the AWS SDK finds them: environment, profile, web identity, ECS, EC2.
    pub keys: Option<StaticKeys>,
    /// Keys that sign tickets; if absent, those that sign every request. They should be allowed to put objects under
    /// `prefix` and nothing more: a server that accepts unsigned `x-amz-*` headers lets the holder of a ticket do
    /// whatever its signer may, such as copy a secret object to the ticket's key (`x-amz-copy-source`).
    pub ticket_keys: Option<StaticKeys>,
    pub keeps_versions: KeepsVersions,
}

/// Whether the bucket keeps versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepsVersions {
    /// As the server says (`GetBucketVersioning`).
    #[default]
    AsAsked,
    /// The operator says that the bucket never kept versions. The server is not asked.
    Never,
    /// The operator says that the bucket keeps versions, or did. The server is not asked.
    Always,
}

/// Why a gateway could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("s3_endpoint must be http:// or https:// with a host and nothing but a path behind it")]
    BadEndpoint,
    #[error("no region was given and none is found where the AWS SDK looks for it")]
    NoRegion,
    #[error(
        "no credentials were given and none are found where the AWS SDK looks for them: set s3_access_key and s3_secret_key, \
         or AWS's own variables or profile"
    )]
    NoCredentials,
    #[error("the credentials that the AWS SDK is told to use cannot be had: {reason}")]
    Credentials { reason: String },
    #[error("the region {region} that the AWS SDK finds {problem}")]
    Region { region: String, problem: &'static str },
    #[error(
        "the AWS profile has an endpoint_url; set s3_endpoint to it, or AWS_IGNORE_CONFIGURED_ENDPOINT_URLS to true"
    )]
    ProfileEndpoint,
    #[error("region {region} and the bucket do not make an address: {reason}")]
    NoAddress { region: String, reason: String },
}
