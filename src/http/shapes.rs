//! The JSON of Media and Event, the same in every answer.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroload_domain::{AttachedTo, ContentType, Media, ObjectKey, Owner, Sha256Digest};
use zeroload_journal::{StoredEvent, StreamKind};

use crate::{media::Loaded, storage::Upload};

/// RFC 3339 in UTC with microseconds.
pub use zeroload_domain::time_text::serialize_fixed as time;

pub fn optional_time<S: Serializer>(value: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => time(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// A media item's current state.
#[derive(Serialize, ToSchema)]
#[schema(as = Media)]
pub struct MediaShape {
    pub id: Uuid,
    #[schema(value_type = MediaState)]
    pub state: &'static str,
    #[schema(value_type = String)]
    pub owner: Owner,
    #[schema(value_type = String)]
    pub content_type: ContentType,
    /// Bytes.
    pub content_length: u64,
    /// Base64.
    #[schema(value_type = Option<String>, required = true)]
    pub checksum_sha256: Option<Sha256Digest>,
    /// Whether the S3 server has shown `checksum_sha256` as the SHA-256 of the recorded object. False if no checksum
    /// was declared, no object is recorded, or the server shows none: then only size and type were compared.
    pub checksum_verified: bool,
    #[schema(value_type = String)]
    pub object_key: ObjectKey,
    #[schema(value_type = Option<String>, required = true)]
    pub attached_to: Option<AttachedTo>,
    #[serde(serialize_with = "time")]
    pub requested_at: DateTime<Utc>,
    /// Until when a confirm is promised to work.
    #[serde(serialize_with = "time")]
    pub confirm_by: DateTime<Utc>,
    /// From when on the item may be collected, or its object goes out of the trash; null while the item is in use.
    #[serde(serialize_with = "optional_time")]
    #[schema(required = true)]
    pub collectable_at: Option<DateTime<Utc>>,
    /// The position of the item's last event in the journal.
    pub position: u64,
    /// The place of the item's last event in its own history.
    pub sequence: u64,
    /// The ticket; null unless the call asked for one that can be used.
    #[schema(required = true)]
    pub upload: Option<UploadShape>,
}

/// The state of an item.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described here; the domain's own type writes it")]
pub enum MediaState {
    Pending,
    Uploaded,
    Confirmed,
    Released,
    Collecting,
    Trashed,
    Restoring,
    Collected,
}

/// A ticket: the client must send exactly these headers.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
pub struct UploadShape {
    pub method: &'static str,
    pub url: String,
    #[schema(value_type = BTreeMap<String, String>)]
    pub headers: BTreeMap<&'static str, String>,
    #[serde(serialize_with = "time")]
    pub expires_at: DateTime<Utc>,
    /// True if the ticket ends before `ticket_ttl` is over, with the temporary credentials that signed it.
    pub shortened: bool,
}

impl MediaShape {
    /// `None` for an id that was never requested.
    pub fn of(loaded: &Loaded, upload: Option<Upload>) -> Option<Self> {
        let ticketed = loaded.media.ticketed()?;
        let request = &ticketed.request;
        let shown = loaded.media.object().and_then(|facts| facts.checksum_sha256);
        let in_use = matches!(loaded.media, Media::Confirmed(..) | Media::Restoring(..));
        Some(Self {
            id: loaded.id.as_uuid(),
            state: loaded.media.state().as_str(),
            owner: request.owner.clone(),
            content_type: request.content_type.clone(),
            content_length: request.content_length.bytes(),
            checksum_sha256: request.checksum_sha256,
            checksum_verified: request.checksum_sha256.is_some() && shown == request.checksum_sha256,
            object_key: request.object_key.clone(),
            attached_to: loaded.media.attached_to().cloned(),
            requested_at: request.requested_at,
            confirm_by: ticketed.deadlines.confirm_by,
            collectable_at: (!in_use).then_some(ticketed.deadlines.collectable_at),
            position: loaded.position,
            sequence: loaded.sequence,
            upload: upload.map(|upload| UploadShape {
                method: upload.method,
                url: upload.url,
                headers: upload.headers,
                expires_at: upload.expires_at,
                shortened: upload.shortened,
            }),
        })
    }
}

/// One event of the journal, its payload and metadata exactly as stored. [`events`](super::events) describes it.
#[derive(Serialize)]
pub struct EventShape<'a> {
    pub position: u64,
    /// Null for an event about no item, such as those of collection runs.
    pub media_id: Option<Uuid>,
    pub sequence: u64,
    pub r#type: &'a str,
    pub version: &'a str,
    #[serde(serialize_with = "time")]
    pub recorded_at: DateTime<Utc>,
    pub payload: &'a RawValue,
    pub metadata: &'a RawValue,
    /// The event's leaf in the hash chain, hex.
    pub hash: String,
}

impl<'a> EventShape<'a> {
    /// `None` if a stored text is no JSON, which only a changed journal can hold.
    pub fn of(stored: &'a StoredEvent) -> Option<Self> {
        Some(Self {
            position: stored.position,
            media_id: (stored.kind == StreamKind::Media).then_some(stored.aggregate_id),
            sequence: stored.sequence,
            r#type: &stored.event_type,
            version: &stored.event_version,
            recorded_at: stored.recorded_at,
            payload: serde_json::from_str(&stored.payload).ok()?,
            metadata: serde_json::from_str(&stored.metadata).ok()?,
            hash: stored.leaf_hash.to_string(),
        })
    }
}
