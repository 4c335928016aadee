//! The domain's values as columns: text and integers that are checked as at the edge when they are read.

use std::collections::BTreeMap;

use zeroload_domain::{
    AttachedTo, Bucket, ByteSize, Claim, CollectOutcome, CollectReason, ContentType, ETag, MediaId, ObjectKey, Owner,
    ReleaseReason, Sha256Digest, State, Store, Tenant,
};

use crate::engine::{
    Scalar, Sink,
    field::{Kind, integer},
};

/// Values that are text.
macro_rules! texts {
    ($($type:ident),+ $(,)?) => {
        $(impl Scalar for $type {
            const KIND: Kind = Kind::Text;

            fn write(&self, sink: &mut dyn Sink) {
                sink.text(Some(self.as_str()));
            }

            fn of_text(text: &str) -> Option<Self> {
                Self::parse(text).ok()
            }
        })+
    };
}

texts!(Tenant, Owner, Store, Bucket, ObjectKey, ContentType, ETag, AttachedTo);

/// Values of which each has a name.
macro_rules! names {
    ($($type:ty: $all:expr),+ $(,)?) => {
        $(impl $crate::engine::Scalar for $type {
            const KIND: $crate::engine::field::Kind = $crate::engine::field::Kind::Text;

            fn write(&self, sink: &mut dyn $crate::engine::Sink) {
                sink.text(Some(self.as_str()));
            }

            fn of_text(text: &str) -> Option<Self> {
                $all.into_iter().find(|value| value.as_str() == text)
            }
        })+
    };
}
pub(crate) use names;

names!(
    State: [
        State::Pending,
        State::Uploaded,
        State::Confirmed,
        State::Released,
        State::Collecting,
        State::Trashed,
        State::Restoring,
        State::Collected,
    ],
    ReleaseReason: [ReleaseReason::Cancelled, ReleaseReason::Detached],
    CollectReason: [
        CollectReason::Expired,
        CollectReason::Cancelled,
        CollectReason::Detached,
        CollectReason::LateUpload,
    ],
    CollectOutcome: [CollectOutcome::Deleted, CollectOutcome::Absent],
);

impl Scalar for MediaId {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        Scalar::write(&self.as_uuid(), sink);
    }

    fn of_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

/// Base64.
impl Scalar for Sha256Digest {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(&self.to_string()));
    }

    fn of_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Scalar for ByteSize {
    const KIND: Kind = Kind::Integer;

    fn write(&self, sink: &mut dyn Sink) {
        sink.number(Some(integer(self.bytes())));
    }

    fn of_number(number: i64) -> Option<Self> {
        number.try_into().ok().map(Self::new)
    }
}

impl Scalar for Claim {
    const KIND: Kind = Kind::Integer;

    fn write(&self, sink: &mut dyn Sink) {
        sink.number(Some(self.number().into()));
    }

    /// As the domain itself reads a stored claim.
    fn of_number(number: i64) -> Option<Self> {
        serde_json::from_value(number.into()).ok()
    }
}

/// A JSON object of counts.
impl Scalar for BTreeMap<String, u64> {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(&serde_json::json!(self).to_string()));
    }

    fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}
