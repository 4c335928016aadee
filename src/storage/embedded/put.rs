//! PUT of an object: receive, verify, make durable, make visible, answer. In this order.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode};
use s3s::dto::{ETag, PutObjectInput, PutObjectOutput, StreamingBlob, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, StdError, s3_error};

use super::backend::{Backend, internal};
use super::checks::{self, Claims};
use super::conditions::WriteCondition;
use super::index::StoredHeaders;
use super::now_ms;
use super::upload::{Received, Upload};
use super::writer::{Outcome, Put, Write};

/// How long a client may send nothing before its upload is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// S3's limit for user metadata, names and values together, in bytes.
const MAX_METADATA: usize = 2048;
/// Headers that promise something we do not do. Ignoring them would be a lie.
const UNSUPPORTED: [&str; 11] = [
    "x-amz-expected-bucket-owner",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];

impl Backend {
    pub(super) async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        refuse_unsupported(&headers)?;
        let claims = Claims::of_put(&headers, input.content_length)?;
        let stored = stored_headers(&input, &headers)?;
        let condition = WriteCondition::of_put(input.if_match, input.if_none_match)?;
        self.require_bucket(&input.bucket).await?;
        if !condition.is_none() {
            // Only to refuse a doomed upload before its bytes; the writer decides.
            let etag = self.index.etag(&input.bucket, &input.key).await.map_err(internal)?;
            condition.check(etag.as_deref())?;
        }

        let Received { file, md5, checksums } = self.receive(input.body, &claims).await?;
        let named = claims.verify(md5, &checksums, trailing_headers.as_ref())?;
        let blob = tokio::task::spawn_blocking(move || file.persist())
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(internal)?;
        let etag = hex::encode(md5);
        let put = Put {
            bucket: input.bucket,
            key: input.key,
            blob,
            size: i64::try_from(claims.length).map_err(internal)?,
            etag: etag.clone(),
            sha256: checksums.checksum_sha256.unwrap_or_default(),
            modified_at: now_ms(),
            headers: serde_json::to_string(&stored).map_err(internal)?,
            condition,
        };
        match self.writer.write(Write::Put(Box::new(put))).await.map_err(internal)? {
            Outcome::Unmet(unmet) => Err(unmet.into()),
            _ => Ok(PutObjectOutput {
                e_tag: Some(ETag::Strong(etag)),
                checksum_crc32: named.checksum_crc32,
                checksum_crc32c: named.checksum_crc32c,
                checksum_crc64nvme: named.checksum_crc64nvme,
                checksum_sha1: named.checksum_sha1,
                checksum_sha256: named.checksum_sha256,
                ..PutObjectOutput::default()
            }),
        }
    }

    /// The whole body in its temporary file, or an error and no file.
    async fn receive(&self, body: Option<StreamingBlob>, claims: &Claims) -> S3Result<Received> {
        let upload = Upload::start(self.blobs.clone(), claims.hasher());
        match feed(body, claims.length, &upload).await {
            Ok(()) => upload.finish().await.map_err(internal),
            Err(error) => {
                upload.abandon().await;
                Err(error)
            }
        }
    }
}

async fn feed(body: Option<StreamingBlob>, length: u64, upload: &Upload) -> S3Result<()> {
    let mut received = 0;
    if let Some(mut body) = body {
        while let Some(chunk) = next(&mut body).await? {
            received += chunk.len() as u64;
            if received > length {
                return Err(s3_error!(InvalidRequest, "the body is longer than announced"));
            }
            if !upload.push(chunk).await {
                return Ok(());
            }
        }
    }
    if received < length {
        return Err(s3_error!(IncompleteBody, "the body is shorter than announced"));
    }
    Ok(())
}

async fn next(body: &mut StreamingBlob) -> S3Result<Option<Bytes>> {
    match tokio::time::timeout(SILENCE, body.next()).await {
        Ok(chunk) => chunk.transpose().map_err(|error| body_error(&error)),
        Err(_) => Err(s3_error!(RequestTimeout, "nothing came for {} seconds", SILENCE.as_secs())),
    }
}

/// s3s keeps the types of its body errors to itself, so their names must do.
fn body_error(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = S3Error::with_message(code, "the x-amz-content-sha256 you specified did not match");
        error.set_status_code(StatusCode::BAD_REQUEST);
        error
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "the signature of a chunk did not match")
    } else if text.contains("AwsChunkedStreamError") || text.contains("LengthMismatch") {
        s3_error!(InvalidRequest, "the body is not what its headers announced")
    } else {
        s3_error!(IncompleteBody, "the body ended early")
    }
}

pub(super) fn refuse_unsupported(headers: &HeaderMap) -> S3Result<()> {
    for name in headers.keys().map(http::HeaderName::as_str) {
        let value = headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        let refused = UNSUPPORTED.contains(&name)
            || name.starts_with("x-amz-server-side-encryption")
            || (name == "x-amz-acl" && !matches!(value, b"private" | b"bucket-owner-full-control"))
            || (name == "x-amz-storage-class" && value != b"STANDARD");
        if refused {
            return Err(s3_error!(
                NotImplemented,
                "a header you provided asks for what this server does not do: {name}"
            ));
        }
    }
    Ok(())
}

fn stored_headers(input: &PutObjectInput, headers: &HeaderMap) -> S3Result<StoredHeaders> {
    let metadata = input.metadata.clone().unwrap_or_default();
    if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_METADATA {
        return Err(s3_error!(MetadataTooLarge, "user metadata takes at most {MAX_METADATA} bytes"));
    }
    let expires = input.expires.as_ref().and_then(|expires| {
        let mut text = Vec::new();
        expires.format(TimestampFormat::DateTime, &mut text).ok()?;
        String::from_utf8(text).ok()
    });
    Ok(StoredHeaders {
        content_type: input.content_type.clone().filter(|value| !value.is_empty()),
        content_disposition: input.content_disposition.clone(),
        content_encoding: checks::stored_encoding(headers),
        content_language: input.content_language.clone(),
        cache_control: input.cache_control.clone(),
        expires,
        metadata: metadata.into_iter().collect(),
    })
}
