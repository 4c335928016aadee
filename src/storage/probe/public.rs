//! Check of a probe: whether a ticket for the address that clients are given leads to this bucket.
//!
//! All other checks use the address at which this process reaches S3. The address for clients need not work from here:
//! in a container `localhost` is the container. So no answer at that address is no failure; a refusal is one.

use std::{io, time::Duration};

use reqwest::{Client, redirect};
use zeroload_domain::Sha256Digest;

use super::trial::{BODY, Trial};
use crate::{
    outside::innermost,
    storage::{StorageError, Upload, check::Status},
};

const NAME: &str = "s3-public-endpoint";
const MAY_TAKE: Duration = Duration::from_secs(5);
/// Bytes of a refusal's body that are read.
const MAX_BODY: usize = 4096;

const NOT_ANSWERED: &str = "the address for clients gives no answer to this process, so tickets were tried at \
                            the server's own; whether clients reach it was not tried";

impl Trial<'_> {
    pub(super) async fn public_address(&mut self) {
        let Some(signer) = self.gateway.public_signer() else {
            return self.found(NAME, Status::Ok, "clients are given the address that this process asks at");
        };
        let key = self.key("public");
        let ticket = match self.sign(signer, &key, BODY.len(), Some(Sha256Digest::of(BODY)), self.now).await {
            Ok(ticket) => ticket,
            Err(error) => return self.found(NAME, Status::Degraded, format!("could not be found out: {error}")),
        };
        let sent = send(ticket).await;
        let version = sent.as_ref().ok().and_then(|sent| sent.as_ref().ok()).cloned().flatten();
        self.was_written(key.clone(), version);
        match sent {
            Err(cause) => self.found(NAME, Status::Ok, format!("{NOT_ANSWERED} ({cause})")),
            Ok(Err(refusal)) => {
                let advice = match refusal.code() {
                    Some("SignatureDoesNotMatch") => {
                        ": what stands there must pass Host and path on as clients send them; if it asks the server as this \
                         process does, set s3_public_keeps_host to false"
                    }
                    _ => "",
                };
                let detail = format!("a ticket's upload is not accepted at the address for clients: {refusal}{advice}");
                self.lacking(NAME, detail);
            }
            Ok(Ok(_)) => match self.gateway.head_key(&key).await {
                Ok(Some(_)) => {
                    self.found(NAME, Status::Ok, "a ticket's upload is accepted at the address for clients");
                }
                Ok(None) => {
                    let detail = "a ticket's upload is accepted at the address for clients, and is not in the bucket: the \
                                  address leads to another server or bucket";
                    self.found(NAME, Status::Failed, detail);
                }
                Err(error) => self.not_found_out(NAME, &error),
            },
        }
    }
}

/// Uploads with a ticket as a client does. Returns the id of the version that was written, or the refusal; or why there
/// was no answer.
async fn send(ticket: Upload) -> Result<Result<Option<String>, StorageError>, String> {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(MAY_TAKE).build();
    let client = client.map_err(|_| "no client could be made".to_owned())?;
    let mut put = client.put(&ticket.url).body(BODY);
    for (name, value) in &ticket.headers {
        put = put.header(*name, value);
    }
    let mut answer = put.send().await.map_err(|error| cause(&error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    if status.is_success() {
        let version = headers.get("x-amz-version-id").and_then(|id| id.to_str().ok()).filter(|id| *id != "null");
        return Ok(Ok(version.map(str::to_owned)));
    }
    let mut body = Vec::new();
    // Of an answer that breaks off, the part that came is used.
    while let Ok(Some(bytes)) = answer.chunk().await
        && body.len() < MAX_BODY
    {
        body.extend_from_slice(&bytes[..bytes.len().min(MAX_BODY)]);
    }
    Ok(Err(StorageError::answered("PutObject", status.as_u16(), &headers, &body)))
}

/// Why there was no answer, without the URL: it is a ticket.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("none within {} s", MAY_TAKE.as_secs());
    }
    innermost::<io::Error>(error).map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}
