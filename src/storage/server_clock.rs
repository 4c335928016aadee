//! The server's clock, read from the `Date` header of an answer.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef},
    error::BoxError,
};
use chrono::{DateTime, Utc};

/// Notes the `Date` of the first answer to a call, of whatever status.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerClock(Arc<OnceLock<DateTime<Utc>>>);

impl ServerClock {
    pub fn read(&self) -> Option<DateTime<Utc>> {
        self.0.get().copied()
    }
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        if let Some(date) = date {
            // If the SDK repeats the call, the first `Date` stays: that one is nearest to the time at which the caller
            // read its own clock.
            let _ = self.0.set(date.with_timezone(&Utc));
        }
        Ok(())
    }
}
