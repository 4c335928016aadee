//! The bucket's listing, page by page in order of key.
//!
//! A listing is a hint: between it and now an object may have come or gone. It resumes behind any key, so nothing of the
//! server's has to be kept to go on after a crash.

use aws_sdk_s3::{
    operation::list_objects_v2::ListObjectsV2Output,
    primitives::DateTimeFormat,
    types::{EncodingType, Object},
};
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, future::BoxFuture};

use super::{error::StorageError, gateway::Gateway, whole::WholeAnswer};

/// Keys that S3 lists at once.
pub const LISTED_AT_ONCE: u64 = 1000;

/// One object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub last_modified: Option<DateTime<Utc>>,
}

/// Objects in order of key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedPage {
    pub objects: Vec<Listed>,
    /// There may be others behind the last one.
    pub more: bool,
}

/// Whoever can list what is under our prefix.
pub trait Listing: Send + Sync + 'static {
    /// The next objects behind a key, in the order of their UTF-8 bytes; an empty key is before all.
    fn page<'a>(&'a self, after: &'a str) -> BoxFuture<'a, Result<ListedPage, StorageError>>;
}

impl Listing for Gateway {
    fn page<'a>(&'a self, after: &'a str) -> BoxFuture<'a, Result<ListedPage, StorageError>> {
        self.list(after).boxed()
    }
}

impl Gateway {
    async fn list(&self, after: &str) -> Result<ListedPage, StorageError> {
        let asked = self.client().list_objects_v2().bucket(self.bucket().as_str());
        // Escaped, since a key may hold what XML cannot.
        let asked = asked.prefix(format!("{}/", self.prefix().as_str())).encoding_type(EncodingType::Url);
        let asked = asked.set_start_after((!after.is_empty()).then(|| after.to_owned()));
        match asked.customize().interceptor(WholeAnswer("ListBucketResult>")).send().await {
            Ok(answer) => page(answer),
            Err(error) => Err(StorageError::from(&error)),
        }
    }
}

fn page(answer: ListObjectsV2Output) -> Result<ListedPage, StorageError> {
    let escaped = matches!(answer.encoding_type, Some(EncodingType::Url));
    // Taken for the end, an answer that leaves this out would make alarms of all that it has not shown.
    let more =
        answer.is_truncated.ok_or_else(|| StorageError::answer("storage does not say whether its listing goes on"))?;
    let objects = answer.contents.unwrap_or_default().into_iter().map(|object| listed(object, escaped));
    let objects: Vec<Listed> = objects.collect::<Option<_>>().ok_or_else(unusable)?;
    // It could not be gone on from.
    if more && objects.is_empty() {
        return Err(unusable());
    }
    Ok(ListedPage { objects, more })
}

fn unusable() -> StorageError {
    StorageError::answer("storage lists an object without a usable key or size")
}

fn listed(object: Object, escaped: bool) -> Option<Listed> {
    let key = object.key?;
    let last_modified = object.last_modified.and_then(|at| at.fmt(DateTimeFormat::DateTime).ok());
    Some(Listed {
        key: if escaped { unescaped(&key)? } else { key },
        size: u64::try_from(object.size?).ok()?,
        etag: object.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        last_modified: last_modified.and_then(|text| text.parse().ok()),
    })
}

/// A key as S3 escapes it: percent signs with two digits, and a plus for a space.
fn unescaped(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unescaped_as_s3_escapes_them() {
        assert_eq!(unescaped("media/a%20b+c%2Bd%2Fe.jpg").as_deref(), Some("media/a b c+d/e.jpg"));
        assert_eq!(unescaped("%F0%9F%99%82%0A").as_deref(), Some("🙂\n"));
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_page_that_cannot_be_gone_on_from_is_an_error() {
        assert!(page(ListObjectsV2Output::builder().is_truncated(true).build()).is_err());
        assert_eq!(page(ListObjectsV2Output::builder().is_truncated(false).build()), Ok(ListedPage::default()));
    }

    #[test]
    fn a_page_that_does_not_say_whether_more_comes_is_no_end() {
        assert!(page(ListObjectsV2Output::builder().build()).is_err());
    }
}
