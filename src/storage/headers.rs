//! Headers that a server stores with an object and sends with each GET of the object. A ticket signs only media type
//! and file name, but the holder of a ticket can send further headers, and the server stores those too: an object could
//! then be served with a wrong encoding, or from caches for a year.
//!
//! Which headers the server adds by itself is read from the bucket's marker, which this service wrote without any of
//! them.

use std::collections::BTreeMap;

use aws_sdk_s3::operation::{get_object::GetObjectOutput, head_object::HeadObjectOutput};
use zeroload_domain::UnsignedHeader;

use super::disposition;

const CACHE_CONTROL: &str = "Cache-Control";
const CONTENT_DISPOSITION: &str = "Content-Disposition";
const CONTENT_ENCODING: &str = "Content-Encoding";
const CONTENT_LANGUAGE: &str = "Content-Language";
const REDIRECT: &str = "x-amz-website-redirect-location";
const METADATA: &str = "x-amz-meta";

/// Characters of a value that are shown.
const SHOWN: usize = 100;

/// The headers of one answer, each name with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptHeaders(BTreeMap<&'static str, Vec<String>>);

/// The answers to GET and HEAD have the same accessors and no type in common.
macro_rules! kept {
    ($answer:expr) => {{
        let single = [
            (CACHE_CONTROL, $answer.cache_control()),
            (CONTENT_DISPOSITION, $answer.content_disposition()),
            (CONTENT_ENCODING, $answer.content_encoding()),
            (CONTENT_LANGUAGE, $answer.content_language()),
            (REDIRECT, $answer.website_redirect_location()),
        ];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value?.trim().to_owned())));
        let metadata = $answer.metadata().into_iter().flatten();
        let metadata = metadata.map(|(name, value)| (METADATA, format!("{name}={value}")));
        let mut kept = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in single.chain(metadata).filter(|(_, value)| !value.is_empty()) {
            kept.entry(name).or_default().push(value);
        }
        Self(kept)
    }};
}

impl KeptHeaders {
    pub fn of_head(answer: &HeadObjectOutput) -> Self {
        kept!(answer)
    }

    pub fn of_get(answer: &GetObjectOutput) -> Self {
        kept!(answer)
    }

    /// The first header that no ticket signs and that the server does not add by itself. `own` are the headers of the
    /// bucket's marker, all of which the server added.
    pub fn unsigned(&self, own: &Self) -> Option<UnsignedHeader> {
        let added = |name: &str, value: &String| own.0.get(name).is_some_and(|values| values.contains(value));
        let mut all = self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| (*name, value)));
        let (name, value) = all.find(|(name, value)| !is_harmless(name, value) && !added(name, value))?;
        Some(UnsignedHeader { name, value: value.escape_debug().take(SHOWN).collect() })
    }
}

fn is_harmless(name: &str, value: &str) -> bool {
    match name {
        // A browser adds these by itself (Fetch section 4.5), for one while its developer tools are open; they only
        // forbid caching.
        CACHE_CONTROL => ["no-cache", "no-store", "max-age=0"].contains(&value),
        CONTENT_ENCODING => ["identity", "aws-chunked"].contains(&value),
        CONTENT_DISPOSITION => disposition::is_ours(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(answer: HeadObjectOutput) -> Option<&'static str> {
        KeptHeaders::of_head(&answer).unsigned(&KeptHeaders::default()).map(|header| header.name)
    }

    #[test]
    fn each_header_that_no_ticket_signs_is_named() {
        let head = HeadObjectOutput::builder;
        assert_eq!(named(head().build()), None);
        assert_eq!(named(head().content_type("image/jpeg").build()), None);
        assert_eq!(named(head().cache_control("public, max-age=31536000").build()), Some(CACHE_CONTROL));
        assert_eq!(named(head().content_disposition("attachment").build()), Some(CONTENT_DISPOSITION));
        assert_eq!(named(head().content_encoding("gzip").build()), Some(CONTENT_ENCODING));
        assert_eq!(named(head().content_language("de").build()), Some(CONTENT_LANGUAGE));
        assert_eq!(named(head().website_redirect_location("https://else.example/").build()), Some(REDIRECT));
        assert_eq!(named(head().metadata("a", "b").build()), Some(METADATA));
    }

    #[test]
    fn what_browsers_and_our_own_tickets_send_is_none_of_them() {
        let head = HeadObjectOutput::builder;
        for harmless in ["no-cache", "no-store", "max-age=0", " "] {
            assert_eq!(named(head().cache_control(harmless).build()), None, "{harmless}");
        }
        assert_eq!(named(head().content_disposition("inline; filename*=UTF-8''a.jpg").build()), None);
        assert_eq!(named(head().content_encoding("aws-chunked").build()), None);
    }

    #[test]
    fn what_the_server_adds_to_the_marker_too_is_its_own() {
        let own = KeptHeaders::of_get(
            &GetObjectOutput::builder().cache_control("private").metadata("by", "the server").build(),
        );
        let unsigned =
            |answer: HeadObjectOutput| KeptHeaders::of_head(&answer).unsigned(&own).map(|header| header.name);
        let head = HeadObjectOutput::builder;
        assert_eq!(unsigned(head().cache_control("private").metadata("by", "the server").build()), None);
        assert_eq!(unsigned(head().cache_control("public").build()), Some(CACHE_CONTROL));
        assert_eq!(unsigned(head().cache_control("private").metadata("by", "a client").build()), Some(METADATA));
    }

    #[test]
    fn a_value_is_shown_escaped_and_short() {
        let long = format!("\u{1b}[31m{}", "x".repeat(5000));
        let kept = KeptHeaders::of_head(&HeadObjectOutput::builder().content_language(long).build());
        let shown = kept.unsigned(&KeptHeaders::default()).unwrap().value;
        assert!(shown.starts_with("\\u{1b}[31mx") && shown.chars().count() == SHOWN, "{shown}");
    }
}
