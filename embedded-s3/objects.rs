//! GET and HEAD of objects.

use std::io::{self, SeekFrom};

use bytes::BytesMut;
use futures_util::stream;
use s3s::dto::{
    Checksum, ChecksumMode, ChecksumType, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    Range, StreamingBlob, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::backend::{Backend, internal};
use super::conditions::{ReadCondition, timestamp};
use super::disposition;
use super::index::{ObjectRow, StoredHeaders};

/// Bytes read from a file at a time.
const READ: usize = 128 * 1024;
/// The media type of an object whose PUT named none, as in S3.
const DEFAULT_TYPE: &str = "binary/octet-stream";

impl Backend {
    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        only_part(input.part_number)?;
        let (row, mut file) = self.open_object(&input.bucket, &input.key).await?;
        let condition = ReadCondition {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        condition.check(&row.etag, row.modified_at)?;

        let size = u64::try_from(row.size).unwrap_or(0);
        let span = match input.range {
            None => 0..size,
            Some(range) => {
                let span = range.check(size)?;
                file.seek(SeekFrom::Start(span.start)).await.map_err(internal)?;
                span
            }
        };
        let content_range =
            input.range.map(|_: Range| format!("bytes {}-{}/{size}", span.start, span.end.saturating_sub(1)));
        let length = span.end - span.start;
        // The checksum is of the whole object, so the answer to a range has none.
        let asked = content_range.is_none() && wants_checksum(input.checksum_mode.as_ref());
        let headers = row.headers().map_err(internal)?;
        let checksum = checksum(&row, asked);
        let content_type = content_type(&headers);
        Ok(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::wrap(read(file, length))),
            cache_control: headers.cache_control.clone(),
            checksum_sha256: checksum.checksum_sha256,
            checksum_type: checksum.checksum_type,
            content_disposition: disposition::of_get(
                content_type.as_deref().unwrap_or_default(),
                headers.content_disposition.as_deref(),
            ),
            content_encoding: headers.content_encoding.clone(),
            content_language: headers.content_language.clone(),
            content_length: i64::try_from(length).ok(),
            content_range,
            content_type,
            e_tag: Some(ETag::Strong(row.etag)),
            expires: expires(&headers),
            last_modified: Some(timestamp(row.modified_at)),
            metadata: metadata(headers),
            ..GetObjectOutput::default()
        })
    }

    pub(super) async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<HeadObjectOutput> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        only_part(input.part_number)?;
        let row = self.row(&input.bucket, &input.key).await?;
        let condition = ReadCondition {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        condition.check(&row.etag, row.modified_at)?;
        let headers = row.headers().map_err(internal)?;
        let checksum = checksum(&row, wants_checksum(input.checksum_mode.as_ref()));
        Ok(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: headers.cache_control.clone(),
            checksum_sha256: checksum.checksum_sha256,
            checksum_type: checksum.checksum_type,
            content_disposition: headers.content_disposition.clone(),
            content_encoding: headers.content_encoding.clone(),
            content_language: headers.content_language.clone(),
            content_length: Some(row.size),
            content_type: content_type(&headers),
            e_tag: Some(ETag::Strong(row.etag)),
            expires: expires(&headers),
            last_modified: Some(timestamp(row.modified_at)),
            metadata: metadata(headers),
            ..HeadObjectOutput::default()
        })
    }

    pub(super) async fn row(&self, bucket: &str, key: &str) -> S3Result<ObjectRow> {
        match self.index.object(bucket, key).await.map_err(internal)? {
            Some(row) => Ok(row),
            None => {
                self.require_bucket(bucket).await?;
                Err(s3_error!(NoSuchKey, "the specified key does not exist"))
            }
        }
    }

    /// Reads an object's row and opens its file. In between, an overwrite or a delete may have removed the file; then
    /// the newer row is read. Once open, a file can be read even after its removal.
    async fn open_object(&self, bucket: &str, key: &str) -> S3Result<(ObjectRow, File)> {
        let mut row = self.row(bucket, key).await?;
        loop {
            match File::open(self.blobs.path(&row.blob_name())).await {
                Ok(file) => return Ok((row, file)),
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

/// The next `length` bytes of the file. If the file is too short, the stream ends in an error, which cuts the
/// connection: the client must not take a part for the whole.
fn read(file: File, length: u64) -> impl stream::Stream<Item = io::Result<bytes::Bytes>> + Send + Sync {
    stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let want = usize::try_from(left).unwrap_or(READ).min(READ);
        let mut buffer = BytesMut::with_capacity(want);
        let got = (&mut file).take(want as u64).read_buf(&mut buffer).await?;
        if got == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(Some((buffer.freeze(), (file, left - got as u64))))
    })
}

/// A bucket that was never versioned has one version of everything, called `null`.
pub(super) fn only_version(version_id: Option<&str>) -> S3Result<()> {
    match version_id {
        None | Some("null" | "") => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "invalid version id specified")),
    }
}

/// Every object was put in one part.
fn only_part(part: Option<i32>) -> S3Result<()> {
    match part {
        None | Some(1) => Ok(()),
        Some(_) => {
            let mut error = S3Error::new(S3ErrorCode::Custom("InvalidPartNumber".into()));
            error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
            Err(error)
        }
    }
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn checksum(row: &ObjectRow, asked: bool) -> Checksum {
    if !asked {
        return Checksum::default();
    }
    Checksum {
        // A row is without a SHA-256 only because of a scripted [`Manner`](super::faults::Manner).
        checksum_sha256: Some(row.sha256.clone()).filter(|sha256| !sha256.is_empty()),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..Checksum::default()
    }
}

fn content_type(headers: &StoredHeaders) -> Option<String> {
    Some(headers.content_type.clone().unwrap_or_else(|| DEFAULT_TYPE.to_owned()))
}

fn expires(headers: &StoredHeaders) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::DateTime, headers.expires.as_deref()?).ok()
}

fn metadata(headers: StoredHeaders) -> Option<std::collections::HashMap<String, String>> {
    (!headers.metadata.is_empty()).then(|| headers.metadata.into_iter().collect())
}
