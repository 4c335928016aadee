//! `ListObjectsV2`: pages by the primary key. Of the keys under a common prefix not all are read: the listing jumps
//! behind the prefix.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{CommonPrefix, ETag, EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass};
use s3s::{S3Request, S3Result, s3_error};

use super::backend::{Backend, internal};
use super::conditions::timestamp;
use super::faults::{Effect, Manner};
use super::index::ListedRow;

/// S3's largest page.
const MAX_KEYS: i32 = 1000;

/// Entries of one page and, if there are more, where the next one begins.
#[derive(Default)]
struct Page {
    objects: Vec<ListedRow>,
    prefixes: Vec<Vec<u8>>,
    next: Option<Vec<u8>>,
}

impl Page {
    fn len(&self) -> usize {
        self.objects.len() + self.prefixes.len()
    }
}

impl Backend {
    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<ListObjectsV2Output> {
        let input = request.input;
        self.require_bucket(&input.bucket).await?;
        let max_keys = input.max_keys.unwrap_or(MAX_KEYS);
        let limit = usize::try_from(max_keys.min(MAX_KEYS))
            .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => URL_SAFE_NO_PAD
                .decode(token)
                .map_err(|_| s3_error!(InvalidArgument, "the continuation token provided is incorrect"))?,
            (None, Some(key)) => just_after(key.as_bytes()),
            (None, None) => Vec::new(),
        };
        let from = if self.faults.lists(Effect::ListAnew) { Vec::new() } else { from };
        let mut page = self.page(&input.bucket, prefix.as_bytes(), delimiter.as_deref(), from, limit).await?;
        if self.faults.lists(Effect::ListBackwards) {
            page.objects.reverse();
        }

        let escape = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL)
            && !self.faults.has(Manner::ListsKeysAsTheyAre);
        let show = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            if escape { escaped(&text) } else { text }
        };
        let count = page.len();
        let contents = page.objects.iter().map(|row| Object {
            key: Some(show(&row.key)),
            size: Some(row.size),
            e_tag: Some(ETag::Strong(row.etag.clone())),
            last_modified: Some(timestamp(row.modified_at)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Object::default()
        });
        let contents: Vec<_> = contents.collect();
        let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(show(prefix)) });
        let prefixes: Vec<_> = prefixes.collect();
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(show(prefix.as_bytes())),
            delimiter: delimiter.map(|delimiter| show(delimiter.as_bytes())),
            start_after: input.start_after.map(|key| show(key.as_bytes())),
            max_keys: Some(max_keys.min(MAX_KEYS)),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(page.next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
            contents: (!contents.is_empty()).then_some(contents),
            common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
            encoding_type: input.encoding_type,
            ..ListObjectsV2Output::default()
        })
    }

    async fn page(
        &self,
        bucket: &str,
        prefix: &[u8],
        delimiter: Option<&str>,
        from: Vec<u8>,
        limit: usize,
    ) -> S3Result<Page> {
        let mut page = Page::default();
        if limit == 0 {
            return Ok(page);
        }
        let until = (!prefix.is_empty()).then(|| behind(prefix));
        let mut from = from.max(prefix.to_vec());
        loop {
            // One row more than fits tells whether there is a next page.
            let want = limit - page.len() + 1;
            let rows = self.index.list(bucket, &from, until.as_deref(), want).await.map_err(internal)?;
            let last = rows.len() < want;
            for row in rows {
                if row.key < from {
                    continue; // under a common prefix that is on the page already
                }
                if page.len() == limit {
                    page.next = Some(row.key);
                    return Ok(page);
                }
                match delimiter.and_then(|delimiter| common_prefix(&row.key, prefix.len(), delimiter.as_bytes())) {
                    None => {
                        from = just_after(&row.key);
                        page.objects.push(row);
                    }
                    Some(common) => {
                        from = behind(common);
                        page.prefixes.push(common.to_vec());
                    }
                }
            }
            if last {
                return Ok(page);
            }
        }
    }
}

/// The key up to and including the first delimiter after the prefix.
fn common_prefix<'a>(key: &'a [u8], prefix: usize, delimiter: &[u8]) -> Option<&'a [u8]> {
    let rest = key.get(prefix..)?;
    let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
    key.get(..prefix + at + delimiter.len())
}

/// The smallest byte string after `key`.
fn just_after(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

/// The smallest byte string after everything that begins with `prefix`, which is not empty. UTF-8
/// never contains the byte 255, so the sum always fits.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    if let Some(last) = next.last_mut() {
        *last = last.saturating_add(1);
    }
    next
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
