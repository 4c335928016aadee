//! JSON objects that others send.
//!
//! serde takes an array for a struct, its elements for the members in order, and of a key that is given twice the last
//! value. Where an answer decides what is deleted, neither may be taken for an answer.

use std::{collections::HashMap, fmt, hash::Hash, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{de::SliceRead, error::Category};

/// Why bytes are not the object that was wanted: kind and place. What stood there is left out, since the text may end up
/// in the journal for ever and on pages that ask for no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at line {line}, column {column}")]
pub struct Fault {
    pub kind: FaultKind,
    pub line: usize,
    pub column: usize,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It begins as something else.
    NoObject,
    NoJson,
    EndsEarly,
    /// A member is missing, unknown or given twice, or a value is of another kind.
    Unexpected,
    /// Something stands behind it.
    GoesOn,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoObject => "it is no JSON object",
            Self::NoJson => "it is no JSON",
            Self::EndsEarly => "it ends too early",
            Self::Unexpected => "a member or a value is not what it must be",
            Self::GoesOn => "something stands behind it",
        })
    }
}

/// A reader of what begins as an object, so that no array is taken for one.
pub fn object(bytes: &[u8]) -> Option<serde_json::Deserializer<SliceRead<'_>>> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    (first == Some(&b'{')).then(|| serde_json::Deserializer::from_slice(bytes))
}

/// The one object that `bytes` are.
///
/// # Errors
/// [`Fault`] says where they are something else.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut json = object(bytes).ok_or(Fault { kind: FaultKind::NoObject, line: 1, column: 0 })?;
    let parsed = T::deserialize(&mut json).map_err(|error| Fault::of(&error))?;
    json.end().map_err(|error| Fault { kind: FaultKind::GoesOn, ..Fault::of(&error) })?;
    Ok(parsed)
}

impl Fault {
    fn of(error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            Category::Data => FaultKind::Unexpected,
            Category::Eof => FaultKind::EndsEarly,
            Category::Syntax | Category::Io => FaultKind::NoJson,
        };
        Self { kind, line: error.line(), column: error.column() }
    }
}

/// For a member that is an object itself, or null.
///
/// # Errors
/// Those of the format, and of an array.
pub fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let found: Option<Object<T>> = Option::deserialize(from)?;
    Ok(found.map(|Object(value)| value))
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        from.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// For a member with keys of the sender's, each given once.
///
/// # Errors
/// Those of the format, and of a key that is given twice.
pub fn unique<'de, D, K, V>(from: D) -> Result<HashMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Eq + Hash,
    V: Deserialize<'de>,
{
    struct Entries<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
        type Value = HashMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut all = HashMap::new();
            while let Some((key, value)) = entries.next_entry()? {
                if all.insert(key, value).is_some() {
                    return Err(A::Error::custom("a key is given twice"));
                }
            }
            Ok(all)
        }
    }

    from.deserialize_map(Entries(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(deserialize_with = "unique")]
        sizes: HashMap<String, u8>,
        #[serde(default, deserialize_with = "optional_object")]
        inner: Option<Inner>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Inner {
        name: String,
    }

    fn fault(json: &str) -> FaultKind {
        let fault = parse::<Outer>(json.as_bytes()).unwrap_err();
        assert!(fault.line >= 1, "{fault}");
        fault.kind
    }

    #[test]
    fn an_object_is_read_and_an_array_is_never_taken_for_one() {
        let read = parse::<Outer>(b" {\"sizes\": {\"a\": 1}, \"inner\": {\"name\": \"x\"}}\n").unwrap();
        assert_eq!((read.sizes["a"], read.inner), (1, Some(Inner { name: "x".to_owned() })));
        assert_eq!(parse::<Outer>(br#"{"sizes": {}, "inner": null}"#).unwrap().inner, None);
        for array in ["[{}]", "[{\"a\": 1}, null]", "null", "", "7", "\"{}\""] {
            assert_eq!(fault(array), FaultKind::NoObject, "{array}");
        }
        for array in [r#"{"sizes": [["a", 1]]}"#, r#"{"sizes": {}, "inner": ["x"]}"#] {
            assert_eq!(fault(array), FaultKind::Unexpected, "{array}");
        }
    }

    #[test]
    fn a_fault_tells_kind_and_place_and_nothing_of_what_stood_there() {
        for (json, kind) in [
            (r#"{"sizes": {"a": 1, "a": 2}}"#, FaultKind::Unexpected),
            (r#"{"sizes": {}, "sizes": {}}"#, FaultKind::Unexpected),
            (r#"{"sizes": {}, "secret": 1}"#, FaultKind::Unexpected),
            (r#"{"sizes": "secret"}"#, FaultKind::Unexpected),
            (r#"{"sizes": {"secret": "secret"}}"#, FaultKind::Unexpected),
            ("{}", FaultKind::Unexpected),
            (r#"{"sizes": {}} secret"#, FaultKind::GoesOn),
            (r#"{"sizes": secret}"#, FaultKind::NoJson),
            (r#"{"sizes": {"#, FaultKind::EndsEarly),
        ] {
            assert_eq!(fault(json), kind, "{json}");
            let text = parse::<Outer>(json.as_bytes()).unwrap_err().to_string();
            assert!(!text.contains("secret") && text.len() < 100, "{text}");
        }
        let far = format!("{{\"sizes\":\n  {{\"a\": \"{}\"}}}}", "x".repeat(1_000_000));
        assert_eq!(
            parse::<Outer>(far.as_bytes()).unwrap_err().to_string(),
            "a member or a value is not what it must be, at line 2, column 1000010"
        );
    }
}
