//! The bucket's listing, page by page in order of key.
//!
//! A listing is a hint: an object may have come or gone since. A listing resumes behind any key, so no token of the
//! server has to be kept to go on after a crash.
//!
//! An entry that cannot be read is returned as [`Illegible`], so that the entries behind it are still listed.

use aws_sdk_s3::{
    operation::list_objects_v2::ListObjectsV2Output,
    primitives::DateTimeFormat,
    types::{EncodingType, Object},
};
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, future::BoxFuture};

use super::{error::StorageError, gateway::Gateway, whole::WholeAnswer};
use crate::outside;

/// Keys that S3 lists at once.
pub const LISTED_AT_ONCE: u64 = 1000;

const NO_KEY: &str = "storage lists an object without a key";
const NO_WAY_ON: &str = "storage says that its list goes on, and lists no key that it could go on behind";
const NO_END: &str = "storage does not say whether its list goes on";
const NOT_TEXT: &str = "its key is not UTF-8 text";
/// Postgres cannot store a NUL in a text, and no item's key holds one.
const NUL: &str = "its key holds a NUL";
const NO_SIZE: &str = "the listing shows no size of it";

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

/// An entry that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegible {
    /// The last legible key before this entry; empty where there is none.
    pub after: String,
    /// The entry's key as the server sent it.
    pub key: String,
    pub reason: &'static str,
}

/// Objects in order of key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedPage {
    pub objects: Vec<Listed>,
    /// In the order of the listing.
    pub illegible: Vec<Illegible>,
    /// There may be further objects behind the last one.
    pub more: bool,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The server has answered with a list that cannot be used. A repeat would show the same.
    #[error("{0}")]
    Unusable(&'static str),
}

/// Lists the objects under our prefix.
pub trait Listing: Send + Sync + 'static {
    /// The next objects behind a key, in the order of their UTF-8 bytes; an empty key is before all others.
    fn page<'a>(&'a self, after: &'a str) -> BoxFuture<'a, Result<ListedPage, ListingError>>;
}

impl Listing for Gateway {
    fn page<'a>(&'a self, after: &'a str) -> BoxFuture<'a, Result<ListedPage, ListingError>> {
        self.list(after).boxed()
    }
}

impl Gateway {
    async fn list(&self, after: &str) -> Result<ListedPage, ListingError> {
        let asked = self.client().list_objects_v2().bucket(self.bucket().as_str());
        // Keys are asked for escaped, since a key may hold characters that XML cannot.
        let asked = asked.prefix(format!("{}/", self.prefix().as_str())).encoding_type(EncodingType::Url);
        let asked = asked.set_start_after((!after.is_empty()).then(|| after.to_owned()));
        match asked.customize().interceptor(WholeAnswer("ListBucketResult>")).send().await {
            Ok(answer) => page(answer, self.manners().lists_keys_as_they_are.is_set()),
            Err(error) => Err(StorageError::from(&error).into()),
        }
    }
}

/// `plain` is whether the server shows keys as they are although it claims to escape them.
fn page(answer: ListObjectsV2Output, plain: bool) -> Result<ListedPage, ListingError> {
    let escaped = matches!(answer.encoding_type, Some(EncodingType::Url)) && !plain;
    // An answer without `IsTruncated` is no end of the list: taken for one, every object that was not listed would be
    // reported as missing.
    let more = answer.is_truncated.ok_or(ListingError::Unusable(NO_END))?;
    let mut page = ListedPage { more, ..ListedPage::default() };
    for object in answer.contents.unwrap_or_default() {
        let key = object.key.clone().ok_or(ListingError::Unusable(NO_KEY))?;
        match listed(object, &key, escaped) {
            Ok(listed) => page.objects.push(listed),
            Err(reason) => {
                let after = page.objects.last().map(|last| last.key.clone()).unwrap_or_default();
                page.illegible.push(Illegible { after, key, reason });
            }
        }
    }
    if page.more {
        let last = page.objects.last().ok_or(ListingError::Unusable(NO_WAY_ON))?;
        // The next page begins behind the last legible key, and shows the illegible entries after that key again.
        page.illegible.retain(|entry| entry.after < last.key);
    }
    Ok(page)
}

fn listed(object: Object, key: &str, escaped: bool) -> Result<Listed, &'static str> {
    let key = if escaped { unescaped(key).ok_or(NOT_TEXT)? } else { key.to_owned() };
    if key.contains('\0') {
        return Err(NUL);
    }
    let last_modified = object.last_modified.and_then(|at| at.fmt(DateTimeFormat::DateTime).ok());
    Ok(Listed {
        key,
        size: object.size.and_then(|size| u64::try_from(size).ok()).ok_or(NO_SIZE)?,
        etag: object.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        last_modified: last_modified.and_then(|text| text.parse().ok()),
    })
}

/// A key as S3 escapes it: percent signs with two digits, and a plus for a space.
pub(super) fn unescaped(key: &str) -> Option<String> {
    outside::unescaped(&key.replace('+', " "))
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
        let unusable = page(ListObjectsV2Output::builder().is_truncated(true).build(), false);
        assert_eq!(unusable, Err(ListingError::Unusable(NO_WAY_ON)));
        let only = answer(&["%FF"], true);
        assert_eq!(page(only, false), Err(ListingError::Unusable(NO_WAY_ON)));
        assert_eq!(page(ListObjectsV2Output::builder().is_truncated(false).build(), false), Ok(ListedPage::default()));
    }

    #[test]
    fn a_page_that_does_not_say_whether_more_comes_is_no_end() {
        assert_eq!(page(ListObjectsV2Output::builder().build(), false), Err(ListingError::Unusable(NO_END)));
    }

    /// A page of a server that escapes its keys.
    fn answer(keys: &[&str], more: bool) -> ListObjectsV2Output {
        let object = |key: &&str| Object::builder().key(*key).size(1).e_tag("\"e\"").build();
        let answer = ListObjectsV2Output::builder().encoding_type(EncodingType::Url).is_truncated(more);
        answer.set_contents(Some(keys.iter().map(object).collect())).build()
    }

    #[test]
    fn an_entry_that_cannot_be_read_holds_up_no_other() {
        let keys = ["%FE", "a", "b%00", "b%FF", "c", "d%ZZ"];
        let illegible = |after: &str, key: &str, reason| Illegible { after: after.into(), key: key.into(), reason };
        let front = [illegible("", "%FE", NOT_TEXT), illegible("a", "b%00", NUL), illegible("a", "b%FF", NOT_TEXT)];
        let whole = page(answer(&keys, false), false).unwrap();
        assert_eq!(whole.objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(whole.illegible[..3], front);
        assert_eq!(whole.illegible[3..], [illegible("c", "d%ZZ", NOT_TEXT)]);
        let part = page(answer(&keys, true), false).unwrap();
        assert_eq!(part.illegible, front, "what is behind the last key comes with the next page");
        let sizeless = ListObjectsV2Output::builder().is_truncated(false);
        let sizeless = sizeless.contents(Object::builder().key("a").build()).build();
        assert_eq!(page(sizeless, false).unwrap().illegible, [illegible("", "a", NO_SIZE)]);
    }
}
