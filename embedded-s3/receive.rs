//! Receives the body of a PUT into its file: no faster than the disk writes, and no slower than [`PACE`].

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, s3_error};

use super::backend::{Backend, internal};
use super::bounds::Uploading;
use super::checks::Claims;
use super::instant;
use super::upload::{Received, Upload};

/// The slowest pace of a client. A slower upload is given up, so that it does not hold a connection and a file.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Time spent waiting for the client.
    within: Duration,
    /// Bytes that must come within that time.
    least: u64,
}

const PACE: Pace = Pace { within: Duration::from_secs(60), least: 60 * 1024 };

impl Backend {
    /// Receives the whole body into its temporary file; after an error no file is left.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        claims: &Claims,
        uploading: &Uploading,
    ) -> S3Result<Received> {
        let mut upload = Upload::start(self.blobs.clone(), claims.hasher()).await;
        match feed(body, claims.length, &mut upload, uploading, PACE).await {
            Ok(()) => {
                uploading.received();
                upload.finish().await.map_err(internal)
            }
            Err(error) => {
                upload.abandon().await;
                Err(error)
            }
        }
    }
}

async fn feed(
    body: Option<StreamingBlob>,
    length: u64,
    upload: &mut Upload,
    uploading: &Uploading,
    pace: Pace,
) -> S3Result<()> {
    let mut received = 0;
    if let Some(mut body) = body {
        let mut window = Window::new(pace);
        while let Some(chunk) = window.next(&mut body, uploading).await? {
            received += chunk.len() as u64;
            if received > length {
                return Err(s3_error!(InvalidRequest, "the body is longer than announced"));
            }
            upload.push(chunk).await.map_err(internal)?;
        }
    }
    if received < length {
        return Err(s3_error!(IncompleteBody, "the body is shorter than announced"));
    }
    Ok(())
}

/// Counts only the time that is spent waiting for the client: a slow disk is not the client's fault.
struct Window {
    pace: Pace,
    left: Duration,
    bytes: u64,
}

impl Window {
    fn new(pace: Pace) -> Self {
        Self { pace, left: pace.within, bytes: 0 }
    }

    async fn next(&mut self, body: &mut StreamingBlob, uploading: &Uploading) -> S3Result<Option<Bytes>> {
        loop {
            let began = instant();
            let came = tokio::select! {
                came = tokio::time::timeout(self.left, body.next()) => came,
                () = uploading.displaced() => {
                    let message = "a later request with the same ticket has taken over from this one, which was silent";
                    return Err(S3Error::with_message(S3ErrorCode::ConditionalRequestConflict, message));
                }
            };
            match came {
                Ok(chunk) => {
                    let chunk = chunk.transpose().map_err(|error| body_error(&error))?;
                    self.left = self.left.saturating_sub(instant() - began);
                    self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                    uploading.heard();
                    return Ok(chunk);
                }
                Err(_) if self.bytes >= self.pace.least => *self = Self::new(self.pace),
                Err(_) => {
                    return Err(s3_error!(
                        RequestTimeout,
                        "fewer than {} bytes came within {} seconds",
                        self.pace.least,
                        self.pace.within.as_secs()
                    ));
                }
            }
        }
    }
}

/// The S3 error for an error of the body. `s3s` does not export the types of these errors, so they are told apart by
/// their text.
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use futures_util::stream;
    use s3s::checksum::ChecksumHasher;

    use super::super::blobs::Blobs;
    use super::super::bounds::{Admission, Bounds};
    use super::*;

    /// Receives a body that comes in these pieces, each after its pause.
    async fn fed(length: u64, pieces: Vec<(Duration, usize)>, pace: Pace) -> S3Result<()> {
        let dir = tempfile::tempdir().expect("a directory");
        let blobs = Arc::new(Blobs::open(dir.path()).expect("open"));
        let admission = Admission::new(Bounds::of_files(1024));
        let uploading = admission.upload(IpAddr::V4(Ipv4Addr::LOCALHOST), None).expect("room");
        let body = stream::iter(pieces).then(|(pause, size)| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>(Bytes::from(vec![7; size]))
        });
        let mut upload = Upload::start(blobs, ChecksumHasher::default()).await;
        let result = feed(Some(StreamingBlob::wrap(body)), length, &mut upload, &uploading, pace).await;
        upload.abandon().await;
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).expect("a folder").count(), 0);
        result
    }

    const NEVER: Duration = Duration::from_secs(1 << 30);
    const AT_ONCE: Duration = Duration::ZERO;

    #[tokio::test]
    async fn a_client_that_brings_too_little_within_its_time_is_given_up() {
        let pace = Pace { within: Duration::from_millis(40), least: 1000 };
        let trickle = std::iter::repeat_n((Duration::from_millis(1), 1), 500).chain([(NEVER, 1)]).collect();
        for pieces in [vec![(NEVER, 1)], vec![(AT_ONCE, 999), (NEVER, 1)], vec![(AT_ONCE, 1000), (NEVER, 1)], trickle] {
            let error = fed(1 << 30, pieces, pace).await.expect_err("it is given up");
            assert_eq!(*error.code(), S3ErrorCode::RequestTimeout);
        }
    }

    #[tokio::test]
    async fn a_client_on_a_slow_line_may_take_its_time() {
        let pace = Pace { within: Duration::from_millis(40), least: 1000 };
        // One piece that is large enough comes within the time of each window.
        let pieces = vec![(Duration::from_millis(30), 1000); 10];
        fed(10_000, pieces, pace).await.expect("all of it came");
    }
}
