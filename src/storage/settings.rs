//! Which bucket the gateway serves, and as whom.

use std::fmt;

use aws_credential_types::Credentials;
use zeroload_domain::{Bucket, KeyPrefix, Store};

/// An access key that does not end by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticKeys {
    pub access_key: String,
    pub secret_key: String,
}

impl StaticKeys {
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key, &self.secret_key, None, None, "settings")
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What [`Gateway::connect`](super::Gateway::connect) needs to know.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    pub bucket: Bucket,
    /// The name that items record for where their bucket is; only items of this store and bucket are served.
    pub store: Store,
    /// `http://` or `https://` with a host; AWS's own endpoint of the region if absent. Clients get it in their URLs.
    pub endpoint: Option<String>,
    /// Else as the AWS SDK finds it; with an endpoint of one's own at last `us-east-1`.
    pub region: Option<String>,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`.
    pub path_style: bool,
    /// Nothing outside it is written or deleted.
    pub prefix: KeyPrefix,
    /// Else credentials come as the AWS SDK finds them: environment, profile, web identity, ECS, EC2.
    pub keys: Option<StaticKeys>,
    /// What tickets are signed with, else the same as everything. They should be allowed to put objects under
    /// `prefix` and nothing more: a server that accepts unsigned `x-amz-*` headers lets the holder of a ticket do
    /// whatever its signer may, such as copy a secret object into his own key (`x-amz-copy-source`).
    pub ticket_keys: Option<StaticKeys>,
}
