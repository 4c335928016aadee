//! Patterns of the allowed texts, for the description of the interface: a client can check its values before it sends
//! them.
//!
//! The service bounds lengths in bytes, JSON Schema in characters, and a pattern cannot count bytes. So the patterns
//! are a little narrower than the service: a text with other characters than ASCII may have 63 characters, which always
//! fit. The service accepts every text that a pattern allows.

use utoipa::{
    Number,
    openapi::{Components, Object, RefOr, Schema, path::Operation},
};
use zeroload_domain::policy::MAX_SINGLE_PUT;

/// 1 to 255 bytes without control characters or characters that change the direction of text.
const NAME: &str = r"^([ -~]{1,255}|[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,63})$";

/// As [`NAME`], without the characters that end or escape a quoted text or a part of a path.
const FILE_NAME: &str =
    r#"^([ !#-.0-\[\]-~]{1,255}|[^\u0000-\u001f"/\\\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,63})$"#;

/// Type, subtype and parameters, whose values are plain or quoted (RFC 9110 section 8.3.1, and the texts that browsers
/// send).
const MEDIA_TYPE: &str = concat!(
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+/[A-Za-z0-9!#$%&'*+.^_`|~-]+ *(; *([A-Za-z0-9!#$%&'*+.^_`|~-]+=",
    r"([!#-:<-\[\]-~]([ !#-:<-\[\]-~]*[!#-:<-\[\]-~])?",
    r#"|"([ !#-\[\]-~]|\\[ -~])*") *)?)*$"#
);

const LONGEST_MEDIA_TYPE: usize = 255;

/// The base64 of 32 bytes: the last character holds only four bits.
const SHA256: &str = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$";

const DAYS: &str = "^[1-9][0-9]{0,3}d$";

const VISIBLE: &str = "^[!-~]+$";

const PLACE: &str = r"^1\.(0|-?[1-9][0-9]{0,14})\.[0-9a-f]{32}$";

const KEY: &str = r"^[^\u0000]{1,255}$";

/// Schema, member, pattern.
const MEMBERS: [(&str, &str, &str); 9] = [
    ("NewMedia", "owner", NAME),
    ("NewMedia", "content_type", MEDIA_TYPE),
    ("NewMedia", "checksum_sha256", SHA256),
    ("NewMedia", "filename", FILE_NAME),
    ("TicketRenewal", "filename", FILE_NAME),
    ("Confirmation", "attached_to", NAME),
    ("ConfirmMany", "attached_to", NAME),
    ("Restoration", "attached_to", NAME),
    ("NewReconciliation", "delete_unknown_older_than", DAYS),
];

/// Operation, parameter, pattern.
const PARAMETERS: [(&str, &str, &str); 4] = [
    ("request_media", "Idempotency-Key", VISIBLE),
    ("get_pending", "owner", NAME),
    ("get_pending", "cursor", PLACE),
    ("get_reconciliation", "cursor", KEY),
];

/// The largest position that every database can hold.
const MOST_POSITIONS: Number = Number::Int(isize::MAX);

/// Writes the patterns into the schemas of bodies.
pub fn describe_members(components: &mut Components) {
    for (schema, member, pattern) in MEMBERS {
        if let Some(object) = member_of(components, schema, member) {
            object.pattern = Some(pattern.to_owned());
        }
    }
    if let Some(object) = member_of(components, "NewMedia", "content_type") {
        object.max_length = Some(LONGEST_MEDIA_TYPE);
    }
    if let Some(object) = member_of(components, "NewMedia", "content_length") {
        object.maximum = isize::try_from(MAX_SINGLE_PUT).ok().map(Number::Int);
    }
}

fn member_of<'a>(components: &'a mut Components, schema: &str, member: &str) -> Option<&'a mut Object> {
    match components.schemas.get_mut(schema)? {
        RefOr::T(Schema::Object(object)) => plain(object.properties.get_mut(member)?),
        _ => None,
    }
}

fn plain(schema: &mut RefOr<Schema>) -> Option<&mut Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}

/// Writes the patterns into the parameters of an operation.
pub fn describe_parameters(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for parameter in operation.parameters.iter_mut().flatten() {
        let Some(object) = parameter.schema.as_mut().and_then(plain) else { continue };
        if let Some((.., pattern)) = PARAMETERS.iter().find(|(of, name, _)| *of == id && *name == parameter.name) {
            object.pattern = Some((*pattern).to_owned());
        }
        let is_position = matches!(parameter.name.as_str(), "after" | "min_position");
        if is_position || (parameter.name == "limit" && object.maximum.is_none()) {
            object.maximum = Some(MOST_POSITIONS);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::openapi_document;

    #[test]
    fn every_pattern_is_in_the_description() {
        let document = serde_json::to_value(openapi_document()).unwrap();
        for (schema, member, pattern) in MEMBERS {
            assert_eq!(document["components"]["schemas"][schema]["properties"][member]["pattern"], pattern, "{member}");
        }
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let operations: Vec<&Value> = operations.collect();
        for (id, name, pattern) in PARAMETERS {
            let operation = operations.iter().find(|operation| operation["operationId"] == id).unwrap();
            let parameters = operation["parameters"].as_array().unwrap();
            let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
            assert_eq!(parameter["schema"]["pattern"], pattern, "{id} {name}");
        }
        assert_eq!(
            document["components"]["schemas"]["NewMedia"]["properties"]["content_length"]["maximum"],
            MAX_SINGLE_PUT
        );
    }
}
