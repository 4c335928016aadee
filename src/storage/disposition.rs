//! File names as `Content-Disposition`: RFC 6266 with the extended form of RFC 8187 alone. That is pure ASCII without quotes,
//! so it passes every client unchanged, and whatever is in a name is escaped.

use std::borrow::Cow;

use zeroload_domain::FileName;

use crate::outside::{escaped, unescaped};

/// `inline`, since media is for showing; the object is on the bucket's own host either way.
const BEFORE: &str = "inline; filename*=UTF-8''";

/// Bytes of a value at most. S3 takes 2 KB of headers that it keeps with an object, names and values together (S3 user
/// guide, "Working with object metadata"); the media type, of 255 characters at most, is one of them.
const LONGEST: usize = 1600;

/// Stands for the part of a name that was cut out.
const ELLIPSIS: char = '…';

/// The header of a ticket with this name. A name that is too long for S3 loses its middle: people know a file by how it
/// begins, and programs by how it ends.
pub(super) fn disposition(name: &FileName) -> String {
    let mut value = BEFORE.to_owned();
    value.extend(escaped(&fitting(name.as_str(), LONGEST - BEFORE.len())));
    value
}

/// Whether a header is one that [`disposition`] makes of some name.
pub(super) fn is_ours(value: &str) -> bool {
    let name = value.strip_prefix(BEFORE).and_then(unescaped);
    name.and_then(|name| FileName::parse(name).ok()).is_some_and(|name| disposition(&name) == value)
}

/// The name itself, or its begin and end around an ellipsis, so that it takes so many bytes once it is escaped.
fn fitting(name: &str, bytes: usize) -> Cow<'_, str> {
    if name.chars().map(escaped_length).sum::<usize>() <= bytes {
        return name.into();
    }
    let room = bytes - escaped_length(ELLIPSIS);
    let mut left = room / 2;
    let end: usize = name.chars().rev().take_while(|character| takes(&mut left, *character)).map(char::len_utf8).sum();
    left += room - room / 2;
    let begin: usize = name.chars().take_while(|character| takes(&mut left, *character)).map(char::len_utf8).sum();
    format!("{}{ELLIPSIS}{}", &name[..begin], &name[name.len() - end..]).into()
}

fn takes(left: &mut usize, character: char) -> bool {
    let rest = left.checked_sub(escaped_length(character));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

fn escaped_length(character: char) -> usize {
    escaped(character.encode_utf8(&mut [0; 4])).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        let value = disposition(&FileName::parse(name).unwrap());
        assert!(value.is_ascii() && value.len() <= LONGEST, "{value}");
        assert!(is_ours(&value), "{value}");
        unescaped(value.strip_prefix(BEFORE).unwrap()).unwrap()
    }

    #[test]
    fn a_name_comes_through_whatever_is_in_it() {
        let letters = "ж".repeat(200);
        for name in ["a b.jpg", "say \"cheese\".jpg", "C:\\fakepath\\a.jpg", "50%25.png", "漢字.png", letters.as_str()]
        {
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn a_name_that_is_too_long_for_s3_loses_its_middle() {
        for letter in ["漢", "𝔘", "é", "%"] {
            let cut = shown(&format!("begin{}.jpeg", letter.repeat(1000)));
            let middle = cut.strip_prefix("begin").and_then(|rest| rest.strip_suffix(".jpeg")).unwrap();
            let (before, after) = middle.split_once(ELLIPSIS).unwrap();
            assert!(before.len() > 100 && after.len() > 100, "{cut}");
            assert!(before.replace(letter, "").is_empty() && after.replace(letter, "").is_empty(), "{cut}");
            assert_eq!(shown(&cut), cut, "it is cut once");
        }
    }

    #[test]
    fn only_what_a_ticket_can_have_signed_is_ours() {
        for other in [
            "",
            "inline",
            "attachment; filename*=UTF-8''a.jpg",
            "inline; filename=\"a.jpg\"",
            "inline; filename*=UTF-8''",
            "inline; filename*=UTF-8''a b.jpg",
            "inline; filename*=UTF-8''a%2fb.jpg",
            "inline; filename*=UTF-8''a%2Fb.jpg",
            "inline; filename*=UTF-8''%E2%80%AEgnp.exe",
            "inline; filename*=UTF-8''a.jpg; filename=b.exe",
            "inline; filename*=UTF-8''%61.jpg",
            "inline; filename*=UTF-8''%FF",
            "inline; filename*=UTF-8''%",
        ] {
            assert!(!is_ours(other), "{other}");
        }
        assert!(!is_ours(&format!("{BEFORE}{}", "a".repeat(LONGEST))));
    }
}
