use super::*;
use crate::storage::{Gateway, test_s3::settings};

async fn base(endpoint: Option<&str>, path_style: bool) -> Result<String, ConnectError> {
    connect(&GatewaySettings { path_style, ..settings(endpoint) }, |_| ()).await.map(|connection| connection.base)
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
