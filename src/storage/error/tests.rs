use aws_sdk_s3::{operation::head_object::HeadObjectError, primitives::SdkBody};

use super::*;

fn of(error: &SdkError<HeadObjectError, HttpResponse>) -> (Fault, String) {
    match StorageError::from(error) {
        StorageError::Unavailable { kind, detail, .. } => (kind, detail),
        other @ StorageError::OtherBucket { .. } => panic!("{other:?}"),
    }
}

#[test]
fn a_time_out_is_told_from_a_refusal() {
    let (kind, detail) = of(&SdkError::timeout_error("http://secret.example/key?X-Amz-Signature=1"));
    assert_eq!((kind, detail.as_str()), (Fault::Timeout, "no answer from storage in time"));
}

#[test]
fn missing_credentials_are_named() {
    let nothing = CredentialsError::provider_error("http://169.254.169.254/secret");
    let (kind, detail) = of(&SdkError::construction_failure(nothing));
    assert_eq!((kind, detail.as_str()), (Fault::Credentials, "no credentials for storage could be had"));
}

#[test]
fn a_text_of_the_sdk_is_never_taken_over() {
    let raw = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
    let (kind, detail) = of(&SdkError::response_error("http://secret.example/key?X-Amz-Signature=1", raw));
    assert_eq!((kind, detail.as_str()), (Fault::Answer, "the answer from storage is not understood"));
}

#[test]
fn a_code_is_a_short_word() {
    assert_eq!(clean_code("SlowDown"), Some("SlowDown".to_owned()));
    for bad in ["", "two words", "http://x", &"x".repeat(65)] {
        assert_eq!(clean_code(bad), None, "{bad:?}");
    }
}
