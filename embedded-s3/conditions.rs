//! Conditional requests (`If-Match` and the like). Conditions of writes are decided inside the writer's transaction,
//! those of reads on the one row that was read.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// The condition of a write.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteCondition {
    if_match: Option<ETagCondition>,
    only_if_absent: bool,
}

/// Why a write does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmet {
    /// `If-Match` names an object that is not there.
    Missing,
    /// There is an object although there must be none, or it has another ETag.
    Differs,
}

impl WriteCondition {
    /// The condition of a PUT. S3 accepts no other `If-None-Match` on a write than `*`.
    pub(super) fn of_put(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> S3Result<Self> {
        match if_none_match {
            Some(ETagCondition::ETag(_)) => Err(s3_error!(NotImplemented, "if-none-match of a PUT can only be *")),
            other => Ok(Self { if_match, only_if_absent: other.is_some() }),
        }
    }

    pub(super) fn if_match(if_match: Option<ETagCondition>) -> Self {
        Self { if_match, only_if_absent: false }
    }

    pub(super) fn is_none(&self) -> bool {
        self.if_match.is_none() && !self.only_if_absent
    }

    /// `current` is the ETag of the object, if there is one.
    pub(super) fn check(&self, current: Option<&str>) -> Result<(), Unmet> {
        if self.only_if_absent && current.is_some() {
            return Err(Unmet::Differs);
        }
        match (&self.if_match, current) {
            (None, _) | (Some(ETagCondition::Any), Some(_)) => Ok(()),
            (Some(_), None) => Err(Unmet::Missing),
            (Some(ETagCondition::ETag(wanted)), Some(etag)) if wanted.as_strong() == Some(etag) => Ok(()),
            (Some(ETagCondition::ETag(_)), Some(_)) => Err(Unmet::Differs),
        }
    }
}

impl From<Unmet> for S3Error {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Missing => s3_error!(NoSuchKey, "the object that if-match names does not exist"),
            Unmet::Differs => precondition_failed(),
        }
    }
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "at least one of the preconditions you specified did not hold")
}

/// The four conditions of GET and HEAD.
#[derive(Debug, Default)]
pub(super) struct ReadCondition {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// Order and precedence are those of RFC 9110, section 13.2.2.
    pub(super) fn check(&self, etag: &str, modified_at_ms: i64) -> S3Result<()> {
        let modified = timestamp(modified_at_ms);
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => names(condition, etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => true,
        };
        if !holds {
            return Err(precondition_failed());
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => names(condition, etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged { Err(not_modified(etag)) } else { Ok(()) }
    }
}

fn names(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn not_modified(etag: &str) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        error.set_headers(HeaderMap::from_iter([(header::ETAG, value)]));
    }
    error
}

/// A time in whole seconds, as in HTTP's dates, so that it can be compared with one.
pub(super) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(u64::try_from(ms / 1000).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etag(text: &str) -> Option<ETagCondition> {
        Some(text.parse().expect("a condition"))
    }

    #[test]
    fn a_write_condition_is_decided_by_what_is_there() {
        let cases = [
            (None, None, None, Ok(())),
            (None, None, Some("a"), Ok(())),
            (None, etag("*"), None, Ok(())),
            (None, etag("*"), Some("a"), Err(Unmet::Differs)),
            (etag("\"a\""), None, Some("a"), Ok(())),
            (etag("\"b\""), None, Some("a"), Err(Unmet::Differs)),
            (etag("\"a\""), None, None, Err(Unmet::Missing)),
            (etag("*"), None, Some("a"), Ok(())),
            (etag("*"), None, None, Err(Unmet::Missing)),
        ];
        for (if_match, if_none_match, current, expected) in cases {
            let condition = WriteCondition::of_put(if_match, if_none_match).expect("supported");
            assert_eq!(condition.check(current), expected, "{condition:?} with {current:?}");
        }
        assert!(WriteCondition::of_put(None, etag("\"a\"")).is_err());
    }

    #[test]
    fn an_etag_takes_precedence_over_a_date() {
        let past = Some(timestamp(1_000));
        let fits = ReadCondition { if_match: etag("\"a\""), if_unmodified_since: past.clone(), ..Default::default() };
        assert!(fits.check("a", 9_000).is_ok());
        let changed = ReadCondition {
            if_none_match: etag("\"b\""),
            if_modified_since: Some(timestamp(9_000)),
            ..Default::default()
        };
        assert!(changed.check("a", 1_000).is_ok());
        let late = ReadCondition { if_unmodified_since: past, ..Default::default() };
        assert_eq!(late.check("a", 9_000).map_err(|e| e.code().clone()), Err(S3ErrorCode::PreconditionFailed));
    }
}
