//! Media types (RFC 9110 section 8.3.1), also as browsers write them: `MediaRecorder` gives `video/webm;codecs=vp8,opus`,
//! whose value is no token and lacks its quotes (WHATWG MIME Sniffing section 4.4 reads it all the same).

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Invalid, shared::Shared};

/// Characters at most.
const LONGEST: usize = 255;

/// A media type. It is kept as it was given, since a client may send its own spelling and the ticket signs it to the
/// letter; only white space that HTTP does not keep is taken out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ContentType(Shared);

impl ContentType {
    /// # Errors
    /// [`Invalid`] says what is allowed.
    pub fn parse(raw: impl Into<Arc<str>>) -> Result<Self, Invalid> {
        Self::check(raw.into().into())
    }

    pub(super) fn check(raw: Shared) -> Result<Self, Invalid> {
        let invalid = |allowed| Invalid { what: "content_type", allowed };
        if raw.len() > LONGEST {
            return Err(invalid(ALLOWED_LENGTH));
        }
        let text = match as_sent(&raw) {
            Cow::Borrowed(text) if text.len() == raw.len() => raw.clone(),
            text => text.into(),
        };
        match read(&text) {
            Ok(_) => Ok(Self(text)),
            Err(allowed) => Err(invalid(allowed)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Type and subtype in lower case, without parameters.
    pub fn essence(&self) -> String {
        self.0.split(';').next().unwrap_or_default().trim_end().to_ascii_lowercase()
    }

    /// Whether both name the same type with the same parameters, however they are spelled: a server may give it back in
    /// another case, with other white space, or with quotes that it needs.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(ours, theirs): (&Parameter<'_>, &Parameter<'_>)| {
            ours.name.eq_ignore_ascii_case(theirs.name) && ours.value.eq_ignore_ascii_case(&theirs.value)
        };
        match (read(&self.0), read(&other.0)) {
            (Ok(ours), Ok(theirs)) => {
                ours.essence.eq_ignore_ascii_case(theirs.essence)
                    && ours.parameters.len() == theirs.parameters.len()
                    && ours.parameters.iter().zip(&theirs.parameters).all(same)
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContentType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(Shared::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

struct MediaType<'a> {
    essence: &'a str,
    parameters: Vec<Parameter<'a>>,
}

struct Parameter<'a> {
    name: &'a str,
    /// Without quotes and what escapes within them.
    value: Cow<'a, str>,
}

/// As HTTP carries it, and as Signature Version 4 signs it: no white space around, and one space where there was more.
fn as_sent(raw: &str) -> Cow<'_, str> {
    let text = raw.trim_matches([' ', '\t']);
    if !text.contains('\t') && !text.contains("  ") {
        return text.into();
    }
    let mut sent = String::with_capacity(text.len());
    for character in text.chars().map(|character| if character == '\t' { ' ' } else { character }) {
        if character != ' ' || !sent.ends_with(' ') {
            sent.push(character);
        }
    }
    sent.into()
}

const ALLOWED: &str = "a media type such as image/jpeg";
const ALLOWED_PARAMETER: &str =
    "a media type such as image/jpeg, its parameters as NAME=VALUE or NAME=\"VALUE\" in ASCII";
const ALLOWED_LENGTH: &str = "a media type such as image/jpeg, at most 255 characters";

fn read(text: &str) -> Result<MediaType<'_>, &'static str> {
    let (essence, mut rest) = text.split_once(';').map_or((text, None), |(essence, rest)| (essence, Some(rest)));
    let essence = essence.trim_end_matches(' ');
    if !essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) {
        return Err(ALLOWED);
    }
    let mut parameters = Vec::new();
    while let Some(text) = rest {
        let text = text.trim_start_matches(' ');
        // The grammar of RFC 9110 section 5.6.6 lets a parameter be left out between two semicolons.
        if let Some(behind) = text.strip_prefix(';') {
            rest = Some(behind);
        } else if text.is_empty() {
            rest = None;
        } else {
            let (parameter, behind) = read_parameter(text).ok_or(ALLOWED_PARAMETER)?;
            parameters.push(parameter);
            rest = behind;
        }
    }
    Ok(MediaType { essence, parameters })
}

/// The first parameter, and what is behind the next semicolon.
fn read_parameter(text: &str) -> Option<(Parameter<'_>, Option<&str>)> {
    let (name, value) = text.split_once('=').filter(|(name, _)| is_token(name))?;
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, behind) = read_quoted(quoted)?;
        return match behind.trim_start_matches(' ') {
            "" => Some((Parameter { name, value }, None)),
            more => more.strip_prefix(';').map(|behind| (Parameter { name, value }, Some(behind))),
        };
    }
    let (value, behind) = value.split_once(';').map_or((value, None), |(value, behind)| (value, Some(behind)));
    let value = value.trim_end_matches(' ');
    let fits = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte));
    fits.then_some((Parameter { name, value: value.into() }, behind))
}

/// The text of a quoted string whose opening quote was read, and what is behind its closing one.
fn read_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.into(), &text[at + 1..])),
            '\\' => value.push(characters.next().map(|(_, escaped)| escaped).filter(|c| matches!(c, ' '..='~'))?),
            ' '..='~' => value.push(character),
            _ => return None,
        }
    }
    None
}

fn is_token(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(raw: &str) -> ContentType {
        ContentType::parse(raw).unwrap_or_else(|invalid| panic!("{raw:?}: {invalid}"))
    }

    #[test]
    fn media_types_are_kept_as_browsers_write_them() {
        for good in [
            "image/jpeg",
            "text/plain; charset=utf-8",
            "image/svg+xml",
            "a/b;c=\"d\"",
            "video/webm;codecs=vp8,opus",
            "video/webm;codecs=\"vp8,opus\"",
            "video/webm; codecs=\"vp8, opus\"",
            "video/mp4; codecs=avc1.42E01E, mp4a.40.2",
            "multipart/mixed; boundary=\"a;b=\\\"c\\\"\"",
            "image/jpeg;",
            "image/jpeg; ;q=1",
            "text/plain ; charset=utf-8",
            "a/b;c=\"\"",
        ] {
            assert_eq!(parsed(good).as_str(), good);
        }
    }

    #[test]
    fn white_space_that_http_does_not_keep_is_taken_out() {
        for (raw, kept) in [
            ("image/jpeg ", "image/jpeg"),
            ("\timage/jpeg", "image/jpeg"),
            ("text/plain; charset=utf-8 ", "text/plain; charset=utf-8"),
            ("text/plain;\t charset=utf-8", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(parsed(raw).as_str(), kept, "{raw:?}");
            assert_eq!(serde_json::from_value::<ContentType>(raw.into()).unwrap().as_str(), kept, "as it was stored");
        }
    }

    #[test]
    fn what_is_no_media_type_is_refused_and_the_part_that_is_wrong_is_named() {
        let longest = format!("a/{}", "b".repeat(254));
        for (bad, allowed) in [
            ("", ALLOWED),
            ("image", ALLOWED),
            ("image/", ALLOWED),
            ("/jpeg", ALLOWED),
            ("image/jp eg", ALLOWED),
            ("image / jpeg", ALLOWED),
            ("image/jpeg\r\nx: y", ALLOWED),
            ("é/x", ALLOWED),
            ("a/b; c", ALLOWED_PARAMETER),
            ("a/b; c=", ALLOWED_PARAMETER),
            ("a/b; =d", ALLOWED_PARAMETER),
            ("a/b; c =d", ALLOWED_PARAMETER),
            ("a/b; c=\"d", ALLOWED_PARAMETER),
            ("a/b; c=\"d\"e", ALLOWED_PARAMETER),
            ("a/b; c=d\"e", ALLOWED_PARAMETER),
            ("a/b; c=é", ALLOWED_PARAMETER),
            ("a/b; c=\"\u{7f}\"", ALLOWED_PARAMETER),
            ("a/b; c=\"\r\nx: y\"", ALLOWED_PARAMETER),
            (longest.as_str(), ALLOWED_LENGTH),
        ] {
            assert_eq!(ContentType::parse(bad).map_err(|invalid| invalid.allowed), Err(allowed), "{bad:?}");
        }
    }

    #[test]
    fn the_same_type_is_the_same_however_a_server_spells_it() {
        let same = |ours: &str, theirs: &str| parsed(ours).is_same(&parsed(theirs));
        assert!(same("video/webm;codecs=vp8,opus", "Video/WebM; Codecs=\"vp8,opus\""));
        assert!(same("text/plain;charset=utf-8", "text/plain ; charset=UTF-8;"));
        assert!(same("a/b;c=\"d\\e\"", "a/b;c=de"));
        assert!(!same("video/webm;codecs=vp8,opus", "video/webm"));
        assert!(!same("video/webm;codecs=vp8", "video/webm;codecs=vp9"));
        assert!(!same("text/plain", "text/html"));
        assert!(!same("a/b;c=d;e=f", "a/b;c=d"));
    }
}
