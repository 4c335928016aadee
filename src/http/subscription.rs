//! SNS asks for each subscription to be confirmed before it sends notifications.
//!
//! A sender must not choose which address this service calls, so the address is logged and a person decides. The log
//! names the host of the address, as a browser would read it: everything else in an address can be made to look like
//! Amazon's.

use reqwest::Url;

use crate::media::notifications::Subscription;

/// Characters of an address that are logged at most; a longer one is not shown.
const MAX_ADDRESS: usize = 1000;
/// Characters of a topic that are logged at most.
const MAX_TOPIC: usize = 200;

pub(super) fn log(asked: &Subscription) {
    let topic: String = asked.topic.chars().take(MAX_TOPIC).collect();
    match Address::of(&asked.confirm_at) {
        Address::Amazons(address) => tracing::warn!(
            ?topic,
            confirm_at = ?address.as_str(),
            "a topic of SNS asks for its subscription to be confirmed; if it is yours, open the address"
        ),
        Address::Another(address) => tracing::warn!(
            ?topic,
            confirm_at = ?address.as_str(),
            host = ?address.host_str().unwrap_or_default(),
            "something like SNS asks for a subscription to be confirmed, at an address that is not Amazon's; open it only \
             if this host is yours"
        ),
        Address::Unusable => tracing::warn!(
            ?topic,
            "something like SNS asks for a subscription to be confirmed, without a usable address; the message is ignored"
        ),
    }
}

/// The address that confirms a subscription, by its owner.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Amazons(Url),
    Another(Url),
    Unusable,
}

impl Address {
    fn of(raw: &str) -> Self {
        let url = Url::parse(raw).ok().filter(|url| url.as_str().len() <= MAX_ADDRESS);
        match url {
            Some(url) if is_amazons(&url) => Self::Amazons(url),
            Some(url) if matches!(url.scheme(), "http" | "https") => Self::Another(url),
            Some(_) | None => Self::Unusable,
        }
    }
}

/// Whether the address begins with `https://sns.{region}.amazonaws.com/`, without user, password or port.
fn is_amazons(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let region = host
        .strip_prefix("sns.")
        .and_then(|rest| rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn")));
    let is_region = |region: &str| region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && region.is_some_and(|region| !region.is_empty() && is_region(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_says_that_an_address_is_amazons() {
        for good in [
            "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=x",
            "https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription",
            "https://SNS.us-gov-west-1.AmazonAWS.com:443/",
        ] {
            assert!(matches!(Address::of(good), Address::Amazons(_)), "{good}");
        }
        for bad in [
            "https://sns.evil.com#.amazonaws.com/",
            "https://sns.evil.com?.amazonaws.com/",
            "https://sns.evil.com\\.amazonaws.com/",
            "https://sns.evil.com/.amazonaws.com/",
            "https://sns.us-east-1.amazonaws.com@evil.com/",
            "https://sns.us-east-1.amazonaws.com:x@evil.com/",
            "https://me@sns.us-east-1.amazonaws.com/",
            "https://sns.us-east-1.amazonaws.com.evil.com/",
            "https://sns.evil.us-east-1.amazonaws.com/",
            "https://sns..amazonaws.com/",
            "https://sns.amazonaws.com.cn/",
            "https://evil.amazonaws.com/",
            "https://sns.us-east-1.amazonaws.com:8443/",
            "http://sns.us-east-1.amazonaws.com/",
            "http://localhost.localstack.cloud:4566/?Action=ConfirmSubscription",
        ] {
            assert!(!matches!(Address::of(bad), Address::Amazons(_)), "{bad}");
        }
    }

    #[test]
    fn what_is_no_web_address_is_not_shown() {
        let long = format!("https://example.com/{}", "x".repeat(1000));
        for bad in ["", "nope", "javascript:alert(1)", "file:///etc/passwd", "https://", &long] {
            assert_eq!(Address::of(bad), Address::Unusable, "{bad}");
        }
    }
}
