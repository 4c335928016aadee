use super::*;
use crate::storage::{Gateway, test_s3::settings};

async fn base(endpoint: Option<&str>, path_style: bool) -> Result<String, ConnectError> {
    connect(&GatewaySettings { path_style, ..settings(endpoint) }, |_| ())
        .await
        .map(|connection| connection.signer.base().to_owned())
}

#[tokio::test]
async fn addresses_follow_the_rules_of_s3() {
    for (endpoint, path_style, expected) in [
        (None, false, "https://photos.s3.eu-central-1.amazonaws.com/"),
        (None, true, "https://s3.eu-central-1.amazonaws.com/photos/"),
        (Some("http://127.0.0.1:9000"), true, "http://127.0.0.1:9000/photos/"),
        (Some("http://127.0.0.1:9000/"), true, "http://127.0.0.1:9000/photos/"),
        (Some("http://localhost:9000"), false, "http://photos.localhost:9000/"),
        (Some("https://s3.example.org/gate"), true, "https://s3.example.org/gate/photos/"),
    ] {
        assert_eq!(base(endpoint, path_style).await, Ok(expected.to_owned()));
    }
}

#[tokio::test]
async fn awss_own_endpoints_are_chosen() {
    let chosen = async |fips, dual_stack| {
        let settings = GatewaySettings { region: Some("us-east-1".to_owned()), fips, dual_stack, ..settings(None) };
        connect(&settings, |_| ()).await.unwrap().signer.base().to_owned()
    };
    assert_eq!(chosen(true, false).await, "https://photos.s3-fips.us-east-1.amazonaws.com/");
    assert_eq!(chosen(false, true).await, "https://photos.s3.dualstack.us-east-1.amazonaws.com/");
    assert_eq!(chosen(true, true).await, "https://photos.s3-fips.dualstack.us-east-1.amazonaws.com/");
}

#[tokio::test]
async fn a_region_that_signs_nothing_is_refused() {
    let global = GatewaySettings { region: Some("aws-global".to_owned()), ..settings(None) };
    assert!(matches!(connect(&global, |_| ()).await.err(), Some(ConnectError::Region { .. })));
}

#[tokio::test]
async fn an_endpoint_is_an_address_and_nothing_more() {
    for bad in ["", "localhost:9000", "ftp://host", "http://", "http://user:secret@host", "http://host/?a=b", "a b"] {
        assert_eq!(base(Some(bad), true).await, Err(ConnectError::BadEndpoint), "{bad:?}");
    }
}

#[tokio::test]
async fn a_region_that_makes_no_address_is_refused() {
    let bad = GatewaySettings { region: Some("not a region".to_owned()), ..settings(None) };
    assert!(matches!(Gateway::connect(bad).await.err(), Some(ConnectError::NoAddress { .. })));
}
