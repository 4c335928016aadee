//! Settings of a real bucket: its name, its addresses and the keys. Values that cannot work are refused here, before
//! any file or connection is opened, with an error that names the setting.

use http::Uri;
use zeroload_domain::{Bucket, KeyPrefix, Store};

use super::{
    RawSettings, SettingError,
    values::{must_be, truth},
};
use crate::storage::{GatewaySettings, KeepsVersions, PublicAddress, StaticKeys, Style, unusable_region};

const ADDRESS: &str = "must be http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]";

/// Ends of names that S3 gives to other things than general purpose buckets.
const OTHER_KINDS: [(&str, &str); 5] = [
    ("--x-s3", "a directory bucket (S3 Express One Zone), which lists without an order and signs with sessions"),
    ("--table-s3", "a table bucket"),
    ("-s3alias", "the alias of an access point, which does not say whether its bucket keeps versions"),
    ("--ol-s3", "the alias of an Object Lambda access point"),
    (".mrap", "the alias of a multi-region access point"),
];

/// The settings of a real bucket; `None` without `s3_bucket`: then the embedded server is used.
pub(super) fn real(raw: &RawSettings, prefix: &KeyPrefix) -> Result<Option<GatewaySettings>, SettingError> {
    let Some(bucket) = raw.s3_bucket.as_deref() else {
        return no_orphans(raw).map(|()| None);
    };
    if raw.embedded_s3_public_endpoint.is_some() {
        let problem = "is for the embedded server, which is not used with s3_bucket: set s3_public_endpoint";
        return Err(SettingError::new("embedded_s3_public_endpoint", problem));
    }
    let bucket = self::bucket(bucket)?;
    let path_style = truth("s3_path_style", raw.s3_path_style.as_deref())?;
    // If the endpoint comes from a variable of AWS, errors name that variable.
    let (setting, endpoint) = match (&raw.s3_endpoint, &raw.aws.endpoint) {
        (Some(endpoint), _) => ("s3_endpoint", Some(endpoint)),
        (None, Some((variable, endpoint))) => (*variable, Some(endpoint)),
        (None, None) => ("s3_endpoint", None),
    };
    let endpoint = endpoint.map(|endpoint| address(setting, endpoint)).transpose()?;
    if let Some(endpoint) = &endpoint {
        names_no_bucket(setting, endpoint, &bucket, path_style)?;
    }
    let path_style = path_style.unwrap_or(endpoint.is_some());
    let (fips, dual_stack) = (
        aws_switch("AWS_USE_FIPS_ENDPOINT", raw.aws.use_fips.as_deref(), endpoint.is_some())?,
        aws_switch("AWS_USE_DUALSTACK_ENDPOINT", raw.aws.use_dual_stack.as_deref(), endpoint.is_some())?,
    );
    let region = raw.s3_region.as_ref().map(|region| ("s3_region", region));
    let region = region.or_else(|| raw.aws.region.as_ref().map(|region| ("AWS_REGION", region)));
    if let Some((setting, problem)) = region.and_then(|(name, region)| Some((name, unusable_region(region)?))) {
        return Err(SettingError::new(setting, problem));
    }
    let store = Store::parse(endpoint.as_deref().unwrap_or("aws"))
        .map_err(|e| SettingError::new(setting, must_be(e.allowed)))?;
    Ok(Some(GatewaySettings {
        prefix: prefix.clone(),
        public: public(raw, "s3_public_endpoint", raw.s3_public_endpoint.as_deref(), path_style)?,
        bucket,
        store,
        region: raw.s3_region.clone(),
        path_style,
        endpoint,
        fips,
        dual_stack,
        keys: own_keys(raw)?,
        ticket_keys: keys(
            "s3_ticket_secret_key",
            raw.s3_ticket_access_key.as_ref(),
            raw.s3_ticket_secret_key.as_ref(),
        )?,
        keeps_versions: keeps_versions(raw.s3_versioning.as_deref())?,
    }))
}

/// The public address of the embedded server, whose bucket is always in the path.
pub(super) fn embedded_public(raw: &RawSettings) -> Result<Option<PublicAddress>, SettingError> {
    if raw.s3_bucket.is_some() {
        return Ok(None);
    }
    let public = public(raw, "embedded_s3_public_endpoint", raw.embedded_s3_public_endpoint.as_deref(), true)?;
    match &public {
        Some(PublicAddress { style: Style::Host | Style::Bucket, keeps_host: true, .. }) => {
            let problem = "must be path: the embedded server does not look for its bucket in the Host that it is given";
            Err(SettingError::new("s3_public_style", problem))
        }
        Some(PublicAddress { endpoint, keeps_host: true, .. }) if has_path(endpoint) => {
            let problem = "has a path, under which the embedded server is not: leave it out, or set s3_public_keeps_host to \
                           false if what stands there takes it away";
            Err(SettingError::new("embedded_s3_public_endpoint", problem))
        }
        _ => Ok(public),
    }
}

fn public(
    raw: &RawSettings,
    setting: &'static str,
    endpoint: Option<&str>,
    path_style: bool,
) -> Result<Option<PublicAddress>, SettingError> {
    let style = match raw.s3_public_style.as_deref() {
        None if path_style => Style::Path,
        None => Style::Host,
        Some("path") => Style::Path,
        Some("host") => Style::Host,
        Some("bucket") => Style::Bucket,
        Some(other) => {
            return Err(SettingError::new("s3_public_style", format!("{other:?} must be path, host or bucket")));
        }
    };
    let keeps_host = truth("s3_public_keeps_host", raw.s3_public_keeps_host.as_deref())?;
    let Some(endpoint) = endpoint else {
        let orphan =
            [("s3_public_style", raw.s3_public_style.is_some()), ("s3_public_keeps_host", keeps_host.is_some())];
        return match orphan.iter().find(|(_, set)| *set) {
            Some((orphan, _)) => Err(SettingError::new(orphan, format!("needs {setting}"))),
            None => Ok(None),
        };
    };
    Ok(Some(PublicAddress { endpoint: address(setting, endpoint)?, style, keeps_host: keeps_host.unwrap_or(true) }))
}

fn no_orphans(raw: &RawSettings) -> Result<(), SettingError> {
    let orphan = [
        ("s3_endpoint", &raw.s3_endpoint),
        ("s3_public_endpoint", &raw.s3_public_endpoint),
        ("s3_access_key", &raw.s3_access_key),
        ("s3_secret_key", &raw.s3_secret_key),
        ("s3_session_token", &raw.s3_session_token),
        ("s3_ticket_access_key", &raw.s3_ticket_access_key),
        ("s3_ticket_secret_key", &raw.s3_ticket_secret_key),
        ("s3_region", &raw.s3_region),
        ("s3_path_style", &raw.s3_path_style),
        ("s3_versioning", &raw.s3_versioning),
    ];
    match orphan.iter().find(|(_, value)| value.is_some()) {
        Some((setting, _)) => {
            Err(SettingError::new(setting, "needs s3_bucket; without it the embedded server is used"))
        }
        None => Ok(()),
    }
}

fn bucket(raw: &str) -> Result<Bucket, SettingError> {
    let refused = |problem: String| Err(SettingError::new("s3_bucket", problem));
    if raw.starts_with("arn:") {
        return refused("is an ARN; give the bucket's name, which is its last part".to_owned());
    }
    if raw.contains("://") {
        return refused("is an address; give the bucket's name here, and the server in s3_endpoint".to_owned());
    }
    if raw.contains('/') {
        return refused("has a slash; give the bucket's name here, and the folder in s3_prefix".to_owned());
    }
    if let Some((end, kind)) = OTHER_KINDS.iter().find(|(end, _)| raw.ends_with(end)) {
        return refused(format!("ends in {end}, which is {kind}; give a general purpose bucket"));
    }
    Bucket::parse(raw).map_err(|e| SettingError::new("s3_bucket", must_be(e.allowed)))
}

/// Checks an address, and takes slashes off its end. Its path is put into URLs as it is, so it must need no escaping.
fn address(setting: &'static str, raw: &str) -> Result<String, SettingError> {
    // The error does not repeat the value: it may hold a password.
    let refused = |problem: &str| SettingError::new(setting, problem);
    let endpoint = raw.trim_end_matches('/');
    let uri: Uri = endpoint.parse().map_err(|_| refused(ADDRESS))?;
    let authority = uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https")));
    let authority = authority.ok_or_else(|| refused(ADDRESS))?;
    if authority.as_str().contains('@') {
        return Err(refused("has a user or password in it, which would be in every ticket: set the keys instead"));
    }
    if raw.contains(['?', '#']) {
        return Err(refused(ADDRESS));
    }
    let plain = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(known)
    };
    match uri.path().strip_prefix('/').unwrap_or_default() {
        "" => Ok(endpoint.to_owned()),
        path if path.split('/').all(plain) => Ok(endpoint.to_owned()),
        _ => Err(refused("has a path with more than A-Z, a-z, 0-9, '-', '.', '_' and '~' between its slashes")),
    }
}

fn has_path(endpoint: &str) -> bool {
    endpoint.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
}

/// Refuses an endpoint that names the bucket: many providers show the bucket's own address, which is not the server's.
fn names_no_bucket(
    setting: &'static str,
    endpoint: &str,
    bucket: &Bucket,
    path_style: Option<bool>,
) -> Result<(), SettingError> {
    let (_, rest) = endpoint.split_once("://").unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, bucket) = (host.to_ascii_lowercase(), bucket.as_str());
    if path.rsplit('/').next() == Some(bucket) {
        let problem = format!("ends with the bucket, {bucket}, which s3_bucket names already: leave it out here");
        return Err(SettingError::new(setting, problem));
    }
    if host.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.')) && path_style != Some(true) {
        let problem = format!(
            "begins with the bucket, {bucket}: leave it out if this is the bucket's own address, and set s3_path_style to \
             true if it is the server's"
        );
        return Err(SettingError::new(setting, problem));
    }
    Ok(())
}

/// A variable of AWS that selects another of AWS's own addresses.
fn aws_switch(variable: &'static str, raw: Option<&str>, has_endpoint: bool) -> Result<bool, SettingError> {
    let on = match raw.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(SettingError::new(variable, "must be true or false")),
    };
    if on && has_endpoint {
        let problem = "is for AWS's own addresses, and s3_endpoint names one already: unset one of the two";
        return Err(SettingError::new(variable, problem));
    }
    Ok(on)
}

fn keeps_versions(raw: Option<&str>) -> Result<KeepsVersions, SettingError> {
    match raw {
        None | Some("auto") => Ok(KeepsVersions::AsAsked),
        Some("off") => Ok(KeepsVersions::Never),
        Some("on") => Ok(KeepsVersions::Always),
        Some(other) => Err(SettingError::new("s3_versioning", format!("{other:?} must be auto, off or on"))),
    }
}

fn own_keys(raw: &RawSettings) -> Result<Option<StaticKeys>, SettingError> {
    let found = keys("s3_secret_key", raw.s3_access_key.as_ref(), raw.s3_secret_key.as_ref())?;
    let Some(mut keys) = found else {
        return match &raw.s3_session_token {
            Some(_) => Err(SettingError::new("s3_session_token", "needs s3_access_key and s3_secret_key")),
            None => Ok(None),
        };
    };
    keys.session_token = raw.s3_session_token.clone();
    // `AWS_SESSION_TOKEN` counts if `AWS_ACCESS_KEY_ID` is the same key as `s3_access_key`; beside another key it
    // belongs to that key, which is not used.
    if let (None, Some(token)) = (&keys.session_token, &raw.aws.session_token) {
        match &raw.aws.access_key {
            Some(theirs) if *theirs == keys.access_key => keys.session_token = Some(token.clone()),
            Some(_) => {}
            None => {
                let problem = "is set, and AWS_ACCESS_KEY_ID is not: set s3_session_token if the token belongs to \
                               s3_access_key, else unset it";
                return Err(SettingError::new("AWS_SESSION_TOKEN", problem));
            }
        }
    }
    Ok(Some(keys))
}

fn keys(
    setting: &'static str,
    access: Option<&String>,
    secret: Option<&String>,
) -> Result<Option<StaticKeys>, SettingError> {
    match (access, secret) {
        (None, None) => Ok(None),
        (Some(access), Some(secret)) if !access.is_empty() && !secret.is_empty() => {
            Ok(Some(StaticKeys { access_key: access.clone(), secret_key: secret.clone(), session_token: None }))
        }
        _ => Err(SettingError::new(setting, "access key and secret key must both be set, or neither")),
    }
}

#[cfg(test)]
mod tests;
