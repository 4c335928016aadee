//! A client's upload with a ticket, sent by the probe.

use aws_sdk_s3::{
    Config,
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut, retry::RetryConfig,
    },
    error::BoxError,
    primitives::ByteStream,
};

use crate::storage::{StorageError, Upload, gateway::Gateway};

/// Uploads as a client would: with the ticket's URL, its headers and nothing else, besides an `extra` header if there
/// is one. Returns the id of the version that was written, where the bucket has versions.
pub(super) async fn put(
    gateway: &Gateway,
    ticket: Upload,
    body: &'static [u8],
    extra: Option<(&'static str, &'static str)>,
) -> Result<Option<String>, StorageError> {
    // The SDK's client sends the request, for its connections and time limits; all that the SDK has signed and added is
    // thrown away. There is no retry: the repeat of a conditional PUT whose answer was lost would be refused.
    let put = gateway.client().put_object().bucket(gateway.bucket().as_str()).key("ticket");
    let put = put.body(ByteStream::from_static(body)).customize();
    let put = put.config_override(Config::builder().retry_config(RetryConfig::disabled()));
    match put.interceptor(AsClient { ticket, extra }).send().await {
        Ok(written) => Ok(written.version_id.filter(|id| id != "null")),
        Err(error) => Err(StorageError::from(&error)),
    }
}

#[derive(Debug)]
struct AsClient {
    ticket: Upload,
    extra: Option<(&'static str, &'static str)>,
}

impl Intercept for AsClient {
    fn name(&self) -> &'static str {
        "AsClient"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let theirs: Vec<String> = request.headers().iter().map(|(name, _)| name.to_owned()).collect();
        for name in theirs {
            request.headers_mut().remove(name);
        }
        request.set_uri(self.ticket.url.as_str())?;
        for (name, value) in &self.ticket.headers {
            request.headers_mut().try_insert(*name, value.clone())?;
        }
        if let Some((name, value)) = self.extra {
            request.headers_mut().try_insert(name, value)?;
        }
        Ok(())
    }
}
