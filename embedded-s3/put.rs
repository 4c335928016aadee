//! PUT of an object, in this order: receive, verify, make durable, make visible, answer.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, header};
use s3s::dto::{Checksum, ETag, PutObjectInput, PutObjectOutput, TimestampFormat};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::backend::{Backend, internal};
use super::checks::{self, Claims};
use super::conditions::WriteCondition;
use super::exchange::Exchange;
use super::faults::Manner;
use super::index::StoredHeaders;
use super::now_ms;
use super::upload::Received;
use super::write::{Outcome, Put, Write};

/// S3's limit for user metadata, names and values together, in bytes.
const MAX_METADATA: usize = 2048;
/// Headers that ask for something that this server does not do. A success without it would be a lie.
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
        let S3Request { input, headers, trailing_headers, extensions, .. } = request;
        refuse_unsupported(&headers)?;
        let claims = Claims::of_put(&headers, input.content_length)?;
        let stored = stored_headers(&input, &headers)?;
        let condition = WriteCondition::of_put(input.if_match, input.if_none_match)?;
        self.require_bucket(&input.bucket).await?;
        if !condition.is_none() && self.faults.has(Manner::RefusesConditions) {
            return Err(s3_error!(
                NotImplemented,
                "a header you provided implies functionality that is not implemented"
            ));
        }
        if !condition.is_none() {
            // This check only refuses a doomed upload before its bytes are received; the writer decides.
            let etag = self.index.etag(&input.bucket, &input.key).await.map_err(internal)?;
            condition.check(etag.as_deref())?;
        }
        let ticket = is_presigned(&headers).then(|| (input.bucket.clone(), input.key.clone()));
        let client = extensions.get::<Exchange>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Exchange::client);
        // Held until the answer, so that the next request with this ticket finds the object there.
        let uploading = self.admission.upload(client, ticket)?;

        let Received { file, md5, checksums } = self.receive(input.body, &claims, &uploading).await?;
        let verified = claims.verify(md5, &checksums, trailing_headers.as_ref());
        let (named, refusal, sha256) = self.verdict(verified, checksums, &claims)?;
        let blob = self.blobs.work(move || file.persist()).await.map_err(internal)?;
        let etag = hex::encode(md5);
        let put = Put {
            bucket: input.bucket,
            key: input.key,
            blob,
            size: i64::try_from(claims.length).map_err(internal)?,
            etag: etag.clone(),
            sha256,
            modified_at: now_ms(),
            headers: serde_json::to_string(&stored).map_err(internal)?,
            condition,
        };
        match self.writer.write(Write::Put(Box::new(put))).await.map_err(internal)? {
            Outcome::Unmet(unmet) => Err(unmet.into()),
            _ if refusal.is_some() => Err(refusal.unwrap_or_else(|| s3_error!(InternalError))),
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

    /// The checksums to repeat in the answer, the refusal to answer with although the bytes are kept, and the SHA-256
    /// to store. Without a scripted manner a wrong checksum ends the PUT here.
    fn verdict(
        &self,
        verified: S3Result<Checksum>,
        computed: Checksum,
        claims: &Claims,
    ) -> S3Result<(Checksum, Option<S3Error>, String)> {
        let own = computed.checksum_sha256.unwrap_or_default();
        if self.faults.has(Manner::KeepsNoChecksums) {
            return Ok((Checksum::default(), None, String::new()));
        }
        if self.faults.has(Manner::RepeatsChecksums) {
            return Ok((Checksum::default(), None, claims.declared_sha256().unwrap_or(own)));
        }
        match verified {
            Ok(named) => Ok((named, None, own)),
            Err(refusal) if self.faults.has(Manner::KeepsRefusedBytes) => {
                Ok((Checksum::default(), Some(refusal), String::new()))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

/// Whether the request is signed in its URL: [`super::gate`] lets no request pass that is signed neither in the URL nor
/// in the `Authorization` header.
pub(super) fn is_presigned(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::AUTHORIZATION)
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
