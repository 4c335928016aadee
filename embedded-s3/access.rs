//! The hook that `s3s` calls once the signature is verified: refuses anonymous requests, and lets scripted faults act.

use futures_util::future::BoxFuture;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3Result, s3_error};

use super::exchange::Exchange;
use super::faults::{Before, Faults, Manner};

pub(super) struct Access {
    pub faults: Faults,
}

impl Access {
    async fn decide(&self, operation: &str, key: Option<&str>, exchange: Option<Exchange>) -> S3Result<()> {
        let Some(before) = self.faults.before(operation, key) else {
            return Ok(());
        };
        match before {
            Before::Refuse(refusal) => Err(S3Error::with_message(refusal.code(), "a scripted fault")),
            Before::Wait(waiter) => {
                waiter.released().await;
                Ok(())
            }
            Before::CutRequest => {
                exchange.iter().for_each(Exchange::cut);
                Err(s3_error!(InternalError, "a scripted cut"))
            }
            Before::CutAnswer => {
                exchange.iter().for_each(Exchange::cut);
                Ok(())
            }
        }
    }
}

// The traits of `s3s` are written with `async_trait`, which makes these signatures.
impl S3Access for Access {
    fn check<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        context: &'life1 mut S3AccessContext<'life2>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            if context.credentials().is_none() && !self.faults.has(Manner::ChecksNoSignature) {
                return Err(s3_error!(AccessDenied, "a signature is required"));
            }
            let operation = context.s3_op().name().to_owned();
            let key = match context.s3_path() {
                S3Path::Object { key, .. } => Some(key.to_string()),
                S3Path::Root | S3Path::Bucket { .. } => None,
            };
            let exchange = context.extensions_mut().get::<Exchange>().cloned();
            self.decide(&operation, key.as_deref(), exchange).await
        })
    }
}

/// The one access key and its secret.
pub(super) struct Auth {
    pub access_key: String,
    pub secret_key: SecretKey,
}

impl S3Auth for Auth {
    fn get_secret_key<'life0, 'life1, 'async_trait>(
        &'life0 self,
        access_key: &'life1 str,
    ) -> BoxFuture<'async_trait, S3Result<SecretKey>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            if access_key == self.access_key {
                Ok(self.secret_key.clone())
            } else {
                Err(s3_error!(InvalidAccessKeyId, "the access key you provided is not ours"))
            }
        })
    }
}
