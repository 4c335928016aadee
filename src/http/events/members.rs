//! The members of each event, as a table.

/// The type of a member.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Time,
    Uuid,
    Count,
    Bytes,
    Truth,
    Sha256,
    OneOf(&'static [&'static str]),
    Is(&'static str),
    /// An object with a count for each word.
    Counts,
}

/// A member's name and kind, and whether each event of its type has it.
pub(super) type Member = (&'static str, Kind, bool);

/// An object that the description of the interface has as a schema.
pub(super) struct Shape {
    pub name: &'static str,
    pub about: &'static str,
    pub members: &'static [Member],
}

const YES: bool = true;

const NO: bool = false;

const SEEN_VIA: Kind = Kind::OneOf(&["notice", "confirm", "notification", "recheck", "reconciliation"]);

const REASON: Kind = Kind::OneOf(&["expired", "cancelled", "detached", "late_upload"]);

/// The types of events, in the order in which they may come.
pub(super) const EVENTS: [Shape; 14] = [
    Shape {
        name: "MediaRequested",
        about: "A ticket was issued: from now on an object may appear.",
        members: &[
            ("tenant", Kind::Text, YES),
            ("owner", Kind::Text, YES),
            ("store", Kind::Text, YES),
            ("bucket", Kind::Text, YES),
            ("object_key", Kind::Text, YES),
            ("content_type", Kind::Text, YES),
            ("content_length", Kind::Bytes, YES),
            ("checksum_sha256", Kind::Sha256, NO),
            ("fingerprint", Kind::Text, YES),
            ("requested_at", Kind::Time, YES),
            ("ticket_expires_at", Kind::Time, YES),
            ("confirm_by", Kind::Time, YES),
            ("collectable_at", Kind::Time, YES),
        ],
    },
    Shape {
        name: "TicketRenewed",
        about: "The ticket lives longer.",
        members: &[
            ("renewed_at", Kind::Time, YES),
            ("ticket_expires_at", Kind::Time, YES),
            ("confirm_by", Kind::Time, YES),
            ("collectable_at", Kind::Time, YES),
        ],
    },
    Shape {
        name: "Uploaded",
        about: "The bytes are in the bucket, as seen by the service.",
        members: &[
            ("etag", Kind::Text, YES),
            ("content_length", Kind::Bytes, YES),
            ("content_type", Kind::Text, NO),
            ("checksum_sha256", Kind::Sha256, NO),
            ("version_id", Kind::Text, NO),
            ("seen_via", SEEN_VIA, YES),
        ],
    },
    Shape {
        name: "Confirmed",
        about: "The backend's post refers to the item: it is never deleted.",
        members: &[("attached_to", Kind::Text, NO), ("etag", Kind::Text, YES)],
    },
    Shape {
        name: "Released",
        about: "The backend no longer wants the item.",
        members: &[("reason", Kind::OneOf(&["cancelled", "detached"]), YES), ("collectable_at", Kind::Time, YES)],
    },
    Shape {
        name: "CollectionStarted",
        about: "The point of no return: from here a confirm is refused, and the object may be deleted.",
        members: &[
            ("claim", Kind::Count, YES),
            ("reason", REASON, YES),
            ("run_id", Kind::Uuid, YES),
            ("seen", Kind::Is("SeenObject"), YES),
            ("trash_until", Kind::Time, NO),
        ],
    },
    Shape {
        name: "Collected",
        about: "The bucket no longer holds the object.",
        members: &[
            ("claim", Kind::Count, YES),
            ("outcome", Kind::OneOf(&["deleted", "absent"]), YES),
            ("bytes_freed", Kind::Bytes, YES),
        ],
    },
    Shape {
        name: "Trashed",
        about: "The object is no longer under its key; the trash keeps it for a while.",
        members: &[
            ("claim", Kind::Count, YES),
            ("kept_as", Kind::OneOf(&["copy", "version"]), YES),
            ("trash_key", Kind::Text, NO),
            ("version_id", Kind::Text, NO),
            ("etag", Kind::Text, YES),
            ("content_length", Kind::Bytes, YES),
            ("trash_until", Kind::Time, YES),
        ],
    },
    Shape {
        name: "RestoreStarted",
        about: "The item is on its way back from the trash: it can no longer be collected.",
        members: &[("claim", Kind::Count, YES), ("object_key", Kind::Text, YES), ("attached_to", Kind::Text, NO)],
    },
    Shape {
        name: "Restored",
        about: "The item is in use again, under a new key.",
        members: &[
            ("object_key", Kind::Text, YES),
            ("etag", Kind::Text, YES),
            ("content_length", Kind::Bytes, YES),
            ("content_type", Kind::Text, NO),
            ("checksum_sha256", Kind::Sha256, NO),
            ("version_id", Kind::Text, NO),
            ("attached_to", Kind::Text, NO),
        ],
    },
    Shape {
        name: "Sealed",
        about: "The object is still the confirmed one, and no ticket can write it any more.",
        members: FACTS,
    },
    Shape {
        name: "ContentSubstituted",
        about: "The object of a confirmed item is another one, or gone.",
        members: &[("recorded", Kind::Is("ObjectFacts"), YES), ("found", Kind::Is("FoundObject"), YES)],
    },
    Shape {
        name: "CollectionRunStarted",
        about: "A run of the collector has found something due, and is about to claim it.",
        members: &[("run_id", Kind::Uuid, YES), ("caller", Kind::Text, YES), ("started_at", Kind::Time, YES)],
    },
    Shape {
        name: "CollectionRunEnded",
        about: "A run of the collector is over, and this is what it did.",
        members: &[
            ("run_id", Kind::Uuid, YES),
            ("caller", Kind::Text, YES),
            ("started_at", Kind::Time, YES),
            ("ended_at", Kind::Time, YES),
            ("due", Kind::Count, YES),
            ("collected", Kind::Count, YES),
            ("trashed", Kind::Count, NO),
            ("absent", Kind::Count, YES),
            ("in_use", Kind::Count, YES),
            ("failed", Kind::Count, YES),
            ("unknown", Kind::Count, YES),
            ("bytes_freed", Kind::Bytes, YES),
            ("more", Kind::Truth, YES),
            ("reasons", Kind::Counts, YES),
            ("failures", Kind::Counts, YES),
            ("broken_off", Kind::Text, NO),
        ],
    },
];

const FACTS: &[Member] = &[
    ("etag", Kind::Text, YES),
    ("content_length", Kind::Bytes, YES),
    ("content_type", Kind::Text, NO),
    ("checksum_sha256", Kind::Sha256, NO),
    ("version_id", Kind::Text, NO),
];

/// Members of events that are objects themselves.
pub(super) const PARTS: [Shape; 4] = [
    Shape { name: "ObjectFacts", about: "An object as a look at the bucket showed it.", members: FACTS },
    Shape {
        name: "SeenObject",
        about: "What the collector saw just before its claim.",
        members: &[
            ("state", Kind::OneOf(&["present", "absent", "unknown"]), YES),
            ("etag", Kind::Text, NO),
            ("content_length", Kind::Bytes, NO),
            ("last_modified", Kind::Time, NO),
        ],
    },
    Shape {
        name: "FoundObject",
        about: "What a look at a confirmed item's object showed.",
        members: &[
            ("state", Kind::OneOf(&["present", "absent"]), YES),
            ("etag", Kind::Text, NO),
            ("content_length", Kind::Bytes, NO),
            ("content_type", Kind::Text, NO),
            ("checksum_sha256", Kind::Sha256, NO),
            ("version_id", Kind::Text, NO),
        ],
    },
    Shape {
        name: "EventMetadata",
        about: "What caused an event.",
        members: &[
            ("request_id", Kind::Text, YES),
            ("command_id", Kind::Uuid, YES),
            ("caller", Kind::Text, YES),
            ("route", Kind::Text, YES),
        ],
    },
];

/// The members that every event has around its payload.
pub(super) const ENVELOPE: [Member; 5] = [
    ("position", Kind::Count, YES),
    ("sequence", Kind::Count, YES),
    ("version", Kind::Text, YES),
    ("recorded_at", Kind::Time, YES),
    ("metadata", Kind::Is("EventMetadata"), YES),
];
