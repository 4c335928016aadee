//! Percent escapes (RFC 3986 section 2.1).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All but RFC 3986's unreserved characters as `%XX`, piece by piece.
pub fn escaped(text: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(text, RESERVED)
}

/// The text behind escapes. Nothing where one of them lacks its two digits, or where there would be no text.
pub fn unescaped(escaped: &str) -> Option<String> {
    let is_whole = |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !escaped.split('%').skip(1).all(is_whole) {
        return None;
    }
    percent_decode_str(escaped).decode_utf8().ok().map(Cow::into_owned)
}
