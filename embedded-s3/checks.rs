//! The claims of a PUT about its bytes: length, MD5 and checksums, in headers or in a trailer. All claims must hold; a
//! PUT with a claim that this server cannot check is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, TrailingHeaders, s3_error};

const PREFIX: &str = "x-amz-checksum-";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
/// S3's limit for one PUT, in bytes.
const MAX_LENGTH: u64 = 5 * 1024 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// `None` for other headers, also for those that describe a checksum without being one.
    fn of_header(name: &str) -> S3Result<Option<Self>> {
        match name.strip_prefix(PREFIX) {
            None | Some("algorithm" | "type" | "mode") => Ok(None),
            Some("crc32") => Ok(Some(Self::Crc32)),
            Some("crc32c") => Ok(Some(Self::Crc32c)),
            Some("crc64nvme") => Ok(Some(Self::Crc64Nvme)),
            Some("sha1") => Ok(Some(Self::Sha1)),
            Some("sha256") => Ok(Some(Self::Sha256)),
            Some(_) => Err(s3_error!(InvalidRequest, "this server cannot check {name}")),
        }
    }

    /// bytes
    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn enable(self, hasher: &mut ChecksumHasher) {
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
    }

    fn value(self, checksums: &Checksum) -> Option<&str> {
        match self {
            Self::Crc32 => checksums.checksum_crc32.as_deref(),
            Self::Crc32c => checksums.checksum_crc32c.as_deref(),
            Self::Crc64Nvme => checksums.checksum_crc64nvme.as_deref(),
            Self::Sha1 => checksums.checksum_sha1.as_deref(),
            Self::Sha256 => checksums.checksum_sha256.as_deref(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Claims {
    /// bytes
    pub length: u64,
    md5: Option<[u8; 16]>,
    checksums: Vec<(Algorithm, String)>,
    trailing: Vec<(Algorithm, String)>,
}

impl Claims {
    /// `content_length` is the value of `Content-Length`; a signed chunked body may have only
    /// `x-amz-decoded-content-length`.
    pub(super) fn of_put(headers: &HeaderMap, content_length: Option<i64>) -> S3Result<Self> {
        let length = match content_length {
            Some(length) => {
                u64::try_from(length).map_err(|_| s3_error!(InvalidArgument, "content-length is negative"))?
            }
            None => text(headers, DECODED_LENGTH)
                .ok_or_else(|| s3_error!(MissingContentLength, "you must provide the content-length header"))?
                .parse()
                .map_err(|_| s3_error!(InvalidArgument, "{DECODED_LENGTH} is not a number"))?,
        };
        if length > MAX_LENGTH {
            return Err(s3_error!(EntityTooLarge, "one put takes at most {MAX_LENGTH} bytes"));
        }
        let md5 = match headers.get("content-md5") {
            None => None,
            Some(value) => Some(
                STANDARD
                    .decode(value)
                    .ok()
                    .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                    .ok_or_else(|| s3_error!(InvalidDigest, "content-md5 is not the base64 of 16 bytes"))?,
            ),
        };
        let mut checksums = Vec::new();
        for name in headers.keys() {
            if let Some(algorithm) = Algorithm::of_header(name.as_str())? {
                let value = text(headers, name.as_str()).unwrap_or_default();
                checksums.push((algorithm, parse(algorithm, name.as_str(), value)?));
            }
        }
        let mut trailing = Vec::new();
        for names in headers.get_all("x-amz-trailer") {
            for name in names.to_str().unwrap_or_default().split(',').map(str::trim) {
                if let Some(algorithm) = Algorithm::of_header(name)? {
                    trailing.push((algorithm, name.to_owned()));
                }
            }
        }
        Ok(Self { length, md5, checksums, trailing })
    }

    /// Base64, from a header.
    pub(super) fn declared_sha256(&self) -> Option<String> {
        self.checksums.iter().find(|(algorithm, _)| *algorithm == Algorithm::Sha256).map(|(_, value)| value.clone())
    }

    /// Computes the claimed checksums, and always SHA-256, since a HEAD can ask for it.
    pub(super) fn hasher(&self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher { sha256: Some(Sha256::new()), ..ChecksumHasher::default() };
        for algorithm in self.checksums.iter().chain(&self.trailing).map(|(algorithm, _)| algorithm) {
            algorithm.enable(&mut hasher);
        }
        hasher
    }

    /// Compares the claims with the computed values. Returns the checksums that the client named, to be repeated in the
    /// answer.
    pub(super) fn verify(
        &self,
        md5: [u8; 16],
        computed: &Checksum,
        trailers: Option<&TrailingHeaders>,
    ) -> S3Result<Checksum> {
        if self.md5.is_some_and(|claimed| claimed != md5) {
            return Err(s3_error!(BadDigest, "the content-md5 you specified did not match what we received"));
        }
        let mut claimed = self.checksums.clone();
        for (algorithm, name) in &self.trailing {
            let value = trailers
                .and_then(|trailers| trailers.read(|headers| text(headers, name).map(str::to_owned)))
                .flatten()
                .ok_or_else(|| s3_error!(InvalidRequest, "the trailer {name} was announced, but did not come"))?;
            claimed.push((*algorithm, parse(*algorithm, name, &value)?));
        }
        let mut named = Checksum::default();
        for (algorithm, value) in claimed {
            if algorithm.value(computed) != Some(value.as_str()) {
                return Err(s3_error!(BadDigest, "the {algorithm:?} you specified did not match what we received"));
            }
            let place = match algorithm {
                Algorithm::Crc32 => &mut named.checksum_crc32,
                Algorithm::Crc32c => &mut named.checksum_crc32c,
                Algorithm::Crc64Nvme => &mut named.checksum_crc64nvme,
                Algorithm::Sha1 => &mut named.checksum_sha1,
                Algorithm::Sha256 => &mut named.checksum_sha256,
            };
            *place = Some(value);
        }
        Ok(named)
    }
}

/// Checks that a checksum is canonical base64 of the right length.
fn parse(algorithm: Algorithm, name: &str, value: &str) -> S3Result<String> {
    match STANDARD.decode(value) {
        Ok(bytes) if bytes.len() == algorithm.length() => Ok(value.to_owned()),
        _ => Err(s3_error!(InvalidRequest, "value for {name} header is invalid")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The `Content-Encoding` to store: without `aws-chunked`, which describes the transfer, not the object.
pub(super) fn stored_encoding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_ENCODING)?.to_str().ok()?;
    let kept: Vec<_> =
        value.split(',').map(str::trim).filter(|part| *part != "aws-chunked" && !part.is_empty()).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}
