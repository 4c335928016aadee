//! The JSON of a request's body: one flat object. A refusal names the member and says what is allowed.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::Problem;
use crate::outside::json;

const BODY: &str = "body";

/// # Errors
/// A [`Problem`] of status 400; its field is the member at fault, or `body` where no member is.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = json::object(bytes).ok_or_else(|| Problem::invalid(BODY, "the body must be a JSON object"))?;
    let parsed = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| malformed(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| {
        Problem::invalid(BODY, format!("the body must be one JSON object with nothing behind it: {error}"))
    })?;
    Ok(parsed)
}

fn malformed(path: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    if error.classify() != Category::Data {
        return Problem::invalid(BODY, format!("the body must be JSON: {message}"));
    }
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    // These three errors are about a member of the object, not about a value, so only the message has the member's
    // name.
    if let Some(name) = between(message, "missing field `", "`") {
        return Problem::invalid(name, format!("{name} is missing"));
    }
    if let Some(name) = between(message, "duplicate field `", "`") {
        return Problem::invalid(name, format!("{name} is given twice"));
    }
    if let Some(name) = between(message, "unknown field `", "`, ") {
        let field = if name.is_empty() { BODY } else { name };
        let known = message.rsplit_once("expected ").map_or("none", |(_, known)| known);
        return Problem::invalid(field, format!("{name:?} is no member of this body; expected {known}"));
    }
    if matches!(path, "." | "?") {
        return Problem::invalid(BODY, format!("the body must be a JSON object: {message}"));
    }
    let names_itself = message.starts_with(&format!("{path} must"));
    Problem::invalid(path, if names_itself { message.to_owned() } else { format!("{path}: {message}") })
}

fn between<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split_once(after).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use zeroload_domain::Owner;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        owner: Owner,
        #[expect(dead_code, reason = "only parsed")]
        sizes: Option<Vec<u64>>,
    }

    #[track_caller]
    fn refused(body: &str, field: &str, detail: &str) {
        let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
        let shape = serde_json::to_value(problem.shape("")).unwrap();
        assert_eq!((shape["field"].as_str(), shape["status"].as_u64()), (Some(field), Some(400)), "{body}: {shape}");
        assert!(shape["detail"].as_str().unwrap().contains(detail), "{body}: {shape}");
    }

    #[test]
    fn an_object_is_read_whatever_white_space_is_round_it() {
        assert_eq!(parse::<Sample>(b" \n{\"owner\":\"ann\"}\t").unwrap().owner.as_str(), "ann");
    }

    #[test]
    fn only_an_object_is_taken_for_one() {
        for body in ["", " ", "null", "7", "\"x\"", "[\"ann\",null]", "\u{feff}{\"owner\":\"ann\"}"] {
            refused(body, "body", "a JSON object");
        }
    }

    #[test]
    fn what_is_no_json_is_the_bodys_fault() {
        for body in ["{", "{\"owner\":\"ann\"", "{\"owner\":\"\\ud800\"}", "{\"owner\":nope}", "{owner:1}"] {
            refused(body, "body", "JSON");
        }
        refused("{\"owner\":\"ann\"} x", "body", "nothing behind it");
        refused("{\"owner\":\"ann\"}{}", "body", "nothing behind it");
    }

    #[test]
    fn members_that_lack_or_are_too_many_are_named() {
        refused("{}", "owner", "owner is missing");
        refused("{\"owner\":\"a\",\"owner\":\"b\"}", "owner", "given twice");
        refused("{\"ownr\":\"a\"}", "ownr", "expected `owner` or `sizes`");
        refused("{\"\":\"a\"}", "body", "no member");
    }

    #[test]
    fn a_bad_value_is_named_by_its_place_and_never_by_its_text() {
        refused("{\"owner\":5}", "owner", "expected a string");
        refused("{\"owner\":\"\"}", "owner", "owner must be 1 to 255 bytes");
        refused("{\"owner\":\"a\",\"sizes\":[1,\"x\"]}", "sizes[1]", "expected u64");
        refused("{\"owner\":\"a\",\"sizes\":[\"missing field `x` at line 7\"]}", "sizes[0]", "expected u64");
    }
}
