//! The server's clock, as its answers tell it.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef},
    error::BoxError,
};
use chrono::{DateTime, Utc};

/// Takes the server's clock from the first answer, of whatever status.
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
            // A repeat keeps the first, which is nearest to our own reading.
            let _ = self.0.set(date.with_timezone(&Utc));
        }
        Ok(())
    }
}
