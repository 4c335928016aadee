//! From settings to a client: region, credentials, addresses, limits.
//!
//! Nothing here needs the S3 server to be up: the server may come up later than this process.

use std::time::Duration;

use aws_config::{
    SdkConfig, environment::region::EnvironmentVariableRegionProvider, meta::region::RegionProviderChain,
    profile::region::ProfileFileRegionProvider,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::{
    Client, Config,
    config::{
        BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        SharedHttpClient,
        endpoint::{DefaultResolver, InvalidParams, Params, ResolveEndpoint},
        retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_types::service_config::ServiceConfigKey;
use http::Uri;
use zeroload_clock::Clock;

use super::{
    credentials::{CredentialCache, CredentialSource},
    settings::{ConnectError, GatewaySettings, PublicAddress, Style, unusable_region},
    ticket::Signer,
};

/// Callers have a backoff of their own, so a call is repeated only once, and soon.
const ATTEMPTS: u32 = 2;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server may take long to delete a thousand keys.
const DELETE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// A server copies up to five gigabytes from disk to disk.
const COPY_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);
/// The region to sign with for an endpoint that has no regions.
const ANY_REGION: &str = "us-east-1";

/// What a gateway is made from.
pub(super) struct Connection {
    pub client: Client,
    /// Signs for the address at which this process reaches S3.
    pub signer: Signer,
    /// Signs for the address that clients are given, if that is another one.
    pub public_signer: Option<Signer>,
    pub ticket_credentials: CredentialSource,
}

/// `change` has the last word on the SDK's configuration.
pub(super) async fn connect(
    settings: &GatewaySettings,
    change: impl FnOnce(&mut aws_sdk_s3::config::Builder),
) -> Result<Connection, ConnectError> {
    let plain = settings.endpoint.as_deref().map(is_plain_http).transpose()?.unwrap_or(false);
    let known_region = region(settings).await;
    let found = if settings.keys.is_none() || known_region.is_none() || settings.endpoint.is_none() {
        Some(look_around(settings, known_region.clone()).await?)
    } else {
        None
    };
    let region = known_region.or_else(|| found.as_ref()?.region().cloned()).ok_or(ConnectError::NoRegion)?;
    if let Some(problem) = unusable_region(region.as_ref()) {
        return Err(ConnectError::Region { region: region.to_string(), problem });
    }
    // With `s3_endpoint` set, the SDK's settings for AWS's endpoints are about another server.
    let aws = found.as_ref().filter(|_| settings.endpoint.is_none());
    let fips = settings.fips || aws.and_then(SdkConfig::use_fips).unwrap_or(false);
    let dual_stack = settings.dual_stack || aws.and_then(SdkConfig::use_dual_stack).unwrap_or(false);
    let base = base_address(settings, region.as_ref(), fips, dual_stack).await?;
    let public_signer = match &settings.public {
        Some(public) => Some(public_signer(settings, public, region.as_ref(), &base).await?),
        None => None,
    };
    let (provider, source) = match &settings.keys {
        Some(keys) => {
            let credentials = keys.credentials();
            (SharedCredentialsProvider::new(credentials.clone()), CredentialSource::Fixed(credentials))
        }
        None => {
            let provider = found.and_then(|f| f.credentials_provider()).ok_or(ConnectError::NoCredentials)?;
            // Credentials end by real time, so the cache reads the system's clock.
            let cache = CredentialCache::start(provider, Clock::system()).await?;
            (SharedCredentialsProvider::new(cache.clone()), CredentialSource::Cached(cache))
        }
    };
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(plain))
        .region(region.clone())
        .credentials_provider(provider)
        // `CredentialCache` keeps the credentials, and asks for new ones with pauses.
        .identity_cache(IdentityCache::no_cache())
        .force_path_style(settings.path_style)
        // Requests of a machine whose clock is far off must be refused, not corrected: the same clock decides which
        // items are due.
        .disable_clock_skew_correction(true)
        // The SDK's own checksums travel as aws-chunked trailers, which not every server understands.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
        .timeout_config(timeouts(ATTEMPT_TIMEOUT));
    config.set_endpoint_url(endpoint_of(settings.endpoint.as_deref()));
    if fips {
        config = config.use_fips(true);
    }
    if dual_stack {
        config = config.use_dual_stack(true);
    }
    change(&mut config);
    Ok(Connection {
        client: Client::from_conf(config.build()),
        signer: Signer::new(region.to_string(), base),
        public_signer,
        ticket_credentials: settings.ticket_keys.as_ref().map_or(source, |k| CredentialSource::Fixed(k.credentials())),
    })
}

/// Overrides for calls that delete.
pub(super) fn delete_config() -> aws_sdk_s3::config::Builder {
    Config::builder().timeout_config(timeouts(DELETE_ATTEMPT_TIMEOUT))
}

/// Overrides for copies: the server reads and writes a whole object.
pub(super) fn copy_config() -> aws_sdk_s3::config::Builder {
    Config::builder().timeout_config(timeouts(COPY_ATTEMPT_TIMEOUT))
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * ATTEMPTS + CONNECT_TIMEOUT)
        .build()
}

/// Without TLS no root certificates are read: a machine that has none can still use a bucket over plain HTTP.
fn http_client(plain: bool) -> SharedHttpClient {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let roots = TrustStore::default().with_native_roots(!plain);
    let context = TlsContext::builder().with_trust_store(roots).build().expect("a trust store without PEM is valid");
    builder.tls_context(context).build_https()
}

fn is_plain_http(endpoint: &str) -> Result<bool, ConnectError> {
    let uri: Uri = endpoint.parse().map_err(|_| ConnectError::BadEndpoint)?;
    let authority = uri.authority().ok_or(ConnectError::BadEndpoint)?;
    // A user and password in the address would end up in every ticket.
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(ConnectError::BadEndpoint);
    }
    match uri.scheme_str() {
        Some("http") => Ok(true),
        Some("https") => Ok(false),
        _ => Err(ConnectError::BadEndpoint),
    }
}

/// The endpoint with a slash at its end: without one the SDK would glue the bucket's name to the last part of a path.
fn endpoint_of(endpoint: Option<&str>) -> Option<String> {
    endpoint.map(|endpoint| format!("{}/", endpoint.trim_end_matches('/')))
}

/// The configuration that the AWS SDK finds in the environment, in profiles and from the machine's metadata service.
async fn look_around(settings: &GatewaySettings, region: Option<Region>) -> Result<SdkConfig, ConnectError> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client(false));
    if let Some(region) = region {
        loader = loader.region(region);
    }
    if settings.keys.is_some() {
        loader = loader.no_credentials();
    }
    let found = loader.load().await;
    // The settings have already taken `AWS_ENDPOINT_URL` over as `s3_endpoint`, so that the items' store is named after
    // it; only a profile can still name an endpoint here.
    let of_s3 = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let of_s3 = of_s3.ok().and_then(|key| found.service_config()?.load_config(key));
    if settings.endpoint.is_none() && (of_s3.is_some() || found.endpoint_url().is_some()) {
        return Err(ConnectError::ProfileEndpoint);
    }
    Ok(found)
}

/// The region that was set; with `s3_endpoint` set, also one from the environment or profile, but not from the instance
/// metadata: the region of this machine says nothing about such a server.
async fn region(settings: &GatewaySettings) -> Option<Region> {
    if let Some(region) = &settings.region {
        return Some(Region::new(region.clone()));
    }
    settings.endpoint.as_ref()?;
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::from_static(ANY_REGION))
        .region()
        .await
}

/// The address by the SDK's own rules (path style, virtual host, partitions), so that tickets go where every other call
/// goes.
async fn base_address(
    settings: &GatewaySettings,
    region: &str,
    fips: bool,
    dual_stack: bool,
) -> Result<String, ConnectError> {
    let params = Params::builder()
        .bucket(settings.bucket.as_str())
        .region(region)
        .force_path_style(settings.path_style)
        .use_fips(fips)
        .use_dual_stack(dual_stack)
        .set_endpoint(endpoint_of(settings.endpoint.as_deref()));
    resolve(params.build(), region).await
}

/// Signs the `Host` and path that the server sees when clients ask at the public address.
async fn public_signer(
    settings: &GatewaySettings,
    public: &PublicAddress,
    region: &str,
    own_base: &str,
) -> Result<Signer, ConnectError> {
    let base = match public.style {
        Style::Bucket => format!("{}/", public.endpoint),
        Style::Path | Style::Host => {
            let params = Params::builder()
                .bucket(settings.bucket.as_str())
                .region(region)
                .force_path_style(public.style == Style::Path)
                .set_endpoint(endpoint_of(Some(&public.endpoint)));
            resolve(params.build(), region).await?
        }
    };
    Ok(match public.keeps_host {
        true => Signer::new(region.to_owned(), base),
        false => Signer::behind(region.to_owned(), base, own_base),
    })
}

async fn resolve(params: Result<Params, InvalidParams>, region: &str) -> Result<String, ConnectError> {
    let no_address = |reason: String| ConnectError::NoAddress { region: region.to_owned(), reason };
    let params = params.map_err(|error| no_address(error.to_string()))?;
    let endpoint =
        DefaultResolver::new().resolve_endpoint(&params).await.map_err(|error| no_address(error.to_string()))?;
    Ok(format!("{}/", endpoint.url().trim_end_matches('/')))
}

#[cfg(test)]
mod tests;
