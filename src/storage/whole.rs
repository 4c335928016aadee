//! Answers that are lists prove something by what they leave out, so half of one must never be read as a whole one.

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef},
    error::BoxError,
};

/// Refuses an answer that was cut: the SDK's parser takes the end of the text for the end of every open element, so half a
/// key could be read as deleted, and half a list as the whole of it. Holds how the root element of a whole answer ends.
#[derive(Debug)]
pub(super) struct WholeAnswer(pub &'static str);

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if !answer.status().is_success() {
            return Ok(());
        }
        let body = answer.body().bytes().unwrap_or_default().trim_ascii_end();
        if body.ends_with(self.0.as_bytes()) { Ok(()) } else { Err("the answer was cut".into()) }
    }
}
