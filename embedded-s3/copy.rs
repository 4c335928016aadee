//! Copies an object within the server.
//!
//! Files are never changed once they have a name, so a copy is a second name for the file (a hard link), and then a row as
//! after a PUT: decided, with its conditions, in the writer's transaction. A crash in between leaves a file without a row.

use std::io;

use http::HeaderMap;
use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, ETagCondition};
use s3s::{S3Request, S3Result, s3_error};

use super::backend::{Backend, internal};
use super::blobs::Blob;
use super::conditions::{ReadCondition, WriteCondition, timestamp};
use super::faults::Manner;
use super::index::ObjectRow;
use super::now_ms;
use super::objects::only_version;
use super::put::{is_presigned, refuse_unsupported};
use super::write::{Outcome, Put, Write};

impl Backend {
    pub(super) async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
        let S3Request { input, headers, .. } = request;
        // The holder of a presigned URL could copy any object, so a copy must be signed in its headers, as the
        // service's own calls are.
        if is_presigned(&headers) && !self.faults.has(Manner::ChecksNoSignature) {
            return Err(s3_error!(AccessDenied, "a presigned URL cannot copy"));
        }
        refuse_unsupported(&headers)?;
        refuse_directives(&input)?;
        let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "only objects of this server can be copied"));
        };
        only_version(version_id.as_deref())?;
        if **bucket == *input.bucket && **key == *input.key {
            return Err(s3_error!(InvalidRequest, "an object cannot be copied onto itself"));
        }
        let condition = write_condition(&headers)?;
        self.require_bucket(&input.bucket).await?;
        let (row, blob) = self.link(bucket, key, &input).await?;
        let (etag, modified_at) = (row.etag.clone(), now_ms());
        let put = Put {
            bucket: input.bucket,
            key: input.key,
            blob,
            size: row.size,
            etag: row.etag.clone(),
            sha256: row.sha256.clone(),
            modified_at,
            headers: serde_json::to_string(&row.headers().map_err(internal)?).map_err(internal)?,
            condition,
        };
        match self.writer.write(Write::Put(Box::new(put))).await.map_err(internal)? {
            Outcome::Unmet(unmet) => Err(unmet.into()),
            _ => Ok(CopyObjectOutput {
                copy_object_result: Some(CopyObjectResult {
                    e_tag: Some(ETag::Strong(etag)),
                    last_modified: Some(timestamp(modified_at)),
                    ..CopyObjectResult::default()
                }),
                ..CopyObjectOutput::default()
            }),
        }
    }

    /// Reads the source's row and makes a second name for its file. In between, an overwrite or a delete may have
    /// removed the file; then the newer row is read, if there is one.
    async fn link(&self, bucket: &str, key: &str, input: &CopyObjectInput) -> S3Result<(ObjectRow, Blob)> {
        let mut row = self.row(bucket, key).await?;
        loop {
            ReadCondition {
                if_match: input.copy_source_if_match.clone(),
                if_none_match: input.copy_source_if_none_match.clone(),
                if_modified_since: input.copy_source_if_modified_since.clone(),
                if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
            }
            .check(&row.etag, row.modified_at)?;
            let (blobs, name) = (self.blobs.clone(), row.blob_name());
            match self.blobs.work(move || blobs.link(&name)).await {
                Ok(blob) => return Ok((row, blob)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let newer = self.row(bucket, key).await?;
                    if newer.blob == row.blob {
                        return Err(internal(error));
                    }
                    row = newer;
                }
                Err(error) => return Err(internal(error)),
            }
        }
    }
}

/// Refuses requests for other headers than those of the source.
fn refuse_directives(input: &CopyObjectInput) -> S3Result<()> {
    let copies = |directive: Option<&str>| matches!(directive, None | Some("COPY"));
    let metadata = copies(input.metadata_directive.as_ref().map(|directive| directive.as_str()));
    let tagging = copies(input.tagging_directive.as_ref().map(|directive| directive.as_str()));
    if metadata && tagging && input.copy_source_sse_customer_algorithm.is_none() {
        return Ok(());
    }
    Err(s3_error!(NotImplemented, "a copy has the headers of its source and no others"))
}

/// The condition of the write, from `If-Match` and `If-None-Match`, which `s3s` does not parse for a copy.
fn write_condition(headers: &HeaderMap) -> S3Result<WriteCondition> {
    let condition = |name: &str| -> S3Result<Option<ETagCondition>> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
        parsed.map(Some).ok_or_else(|| s3_error!(InvalidArgument, "{name} is not an ETag"))
    };
    WriteCondition::of_put(condition("if-match")?, condition("if-none-match")?)
}
