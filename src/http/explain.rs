//! Explains why an item is still here, when it will go, or why it went.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroload_domain::{CollectReason, Found, Media, media::Seal};
use zeroload_projections::Retry;

use super::{
    Api, Problem, Role,
    call::Call,
    paths,
    shapes::{MediaState, optional_time},
};
use crate::{
    media::{Loaded, bucket::BucketStatus},
    storage::remove,
};

/// The fate of an item, with its reasons.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    id: Uuid,
    #[schema(value_type = MediaState)]
    state: &'static str,
    fate: Fate,
    /// Why the item goes or went; null while it is kept.
    #[schema(value_type = Option<ReasonShape>, required = true)]
    reason: Option<&'static str>,
    /// From when on the item may be collected; null while it is kept.
    #[serde(serialize_with = "optional_time")]
    #[schema(required = true)]
    collectable_at: Option<DateTime<Utc>>,
    /// What keeps the collector from an item that is due; null if nothing does.
    #[schema(required = true)]
    obstacle: Option<Obstacle>,
    /// Whether the object in use is known to be the confirmed one; null unless the item is confirmed.
    #[schema(value_type = Option<SealShape>, required = true)]
    seal: Option<&'static str>,
    /// All of this as a sentence for people.
    explanation: String,
}

/// What happens to an item if nobody does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// In use: it is never collected.
    Kept,
    /// It goes at the first run after `collectable_at`.
    Waiting,
    /// It goes at the next run.
    Due,
    /// It is being deleted, or moved into the trash.
    Collecting,
    /// It is in the trash until `collectable_at`, and can be restored until then.
    Trashed,
    /// The bucket no longer holds it.
    Gone,
}

/// Why an item is collected.
#[derive(ToSchema)]
#[schema(as = CollectReason, rename_all = "snake_case")]
#[expect(dead_code, reason = "only described here; the domain's own type writes it")]
enum ReasonShape {
    Expired,
    Cancelled,
    Detached,
    LateUpload,
}

/// Whether an object in use is known to be the confirmed one.
#[derive(ToSchema)]
#[schema(as = SealState, rename_all = "snake_case")]
#[expect(dead_code, reason = "only described here")]
enum SealShape {
    /// A ticket may still write the object, or the object was not compared yet.
    Open,
    /// The object is the confirmed one, and no ticket can write it any more.
    Sealed,
    /// The object is another one, or gone.
    Substituted,
}

const fn seal_name(seal: &Seal) -> &'static str {
    match seal {
        Seal::Open => "open",
        Seal::Sealed => "sealed",
        Seal::Broken(_) => "substituted",
    }
}

/// What keeps the collector from an item.
#[derive(Debug, Serialize, ToSchema)]
pub struct Obstacle {
    /// `bucket`: the collector does not touch the bucket at all. `brake`: the brake has stopped all claims. `withheld`:
    /// the collector claims nothing, since deletes do not work or the clock cannot be trusted. Otherwise the code of
    /// the item's last failed try.
    code: String,
    detail: String,
    /// When this item is tried again; null unless the obstacle is the item's own last try.
    #[serde(serialize_with = "optional_time")]
    #[schema(required = true)]
    next_try_at: Option<DateTime<Utc>>,
}

impl Obstacle {
    /// `claims` names what keeps the collector from claims, and why.
    fn of(bucket: &BucketStatus, claims: Option<(&str, String)>, retry: Option<Retry>) -> Option<Self> {
        if let Some(detail) = bucket.problem() {
            return Some(Self { code: "bucket".to_owned(), detail, next_try_at: None });
        }
        if let Some((code, detail)) = claims {
            return Some(Self { code: code.to_owned(), detail, next_try_at: None });
        }
        let Retry { code, attempts, next_try_at } = retry?;
        let why = remove::explain(&code).map_or_else(String::new, |why| format!(" ({why})"));
        let detail = format!("the last try ended with {code}{why}, and {attempts} in a row have failed");
        Some(Self { code, detail, next_try_at: Some(next_try_at) })
    }
}

/// Why an item may stay, goes or went
#[utoipa::path(
    get, path = paths::explain::PATH, operation_id = "explain_media", tag = "media", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Explanation),
        (status = 404, description = "`not-found`, also for another tenant's id"),
        (status = 503, description = "`projection-unavailable`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn explain(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend, Role::Auditor])?;
    call.no_parameters()?;
    let (service, read_models, id) = (api.service.clone(), api.read_models.clone(), call.id()?);
    let (loaded, retry) = api
        .on_runtime(async move {
            let loaded = service.get(id, &call.tenant).await?;
            Ok::<_, Problem>((loaded, read_models.retries().find(id).await?))
        })
        .await??;
    // The brake does not keep the collector from finishing items that are already claimed.
    let braked = api.collector.braked().map(|why| ("brake", why));
    let claims = braked.or_else(|| api.collector.withheld().map(|why| ("withheld", why)));
    let claims = claims.filter(|_| !matches!(loaded.media, Media::Collecting(..)));
    let obstacle = Obstacle::of(&api.guard.last(), claims, retry);
    Ok(HttpResponse::Ok().json(Explanation::of(&loaded, obstacle, api.clock.now()).ok_or_else(Problem::internal)?))
}

impl Explanation {
    /// `None` for an id that was never requested.
    fn of(loaded: &Loaded, obstacle: Option<Obstacle>, now: DateTime<Utc>) -> Option<Self> {
        let media = &loaded.media;
        let collectable_at = media.ticketed()?.deadlines.collectable_at;
        let fate = match media {
            Media::Unrequested => return None,
            Media::Confirmed(..) | Media::Restoring(..) => Fate::Kept,
            Media::Collecting(..) => Fate::Collecting,
            Media::Trashed(..) => Fate::Trashed,
            Media::Collected(..) => Fate::Gone,
            Media::Pending(_) | Media::Uploaded(..) | Media::Released(..) if now < collectable_at => Fate::Waiting,
            Media::Pending(_) | Media::Uploaded(..) | Media::Released(..) => Fate::Due,
        };
        let reason = media.collect_reason();
        let explanation = match (fate, reason) {
            (Fate::Kept, _) | (_, None) => kept(media),
            (fate, Some(reason)) => goes(fate, reason, collectable_at),
        };
        Some(Self {
            id: loaded.id.as_uuid(),
            state: media.state().as_str(),
            fate,
            reason: reason.map(CollectReason::as_str),
            collectable_at: reason.map(|_| collectable_at),
            // An item that is not due yet, or that is gone, has no obstacle.
            obstacle: obstacle.filter(|_| match media {
                Media::Restoring(..) => true,
                Media::Trashed(..) => collectable_at <= now,
                _ => matches!(fate, Fate::Due | Fate::Collecting),
            }),
            seal: media.seal().map(seal_name),
            explanation,
        })
    }
}

fn kept(media: &Media) -> String {
    if let Media::Restoring(..) = media {
        return "It is being brought back from the trash, and is kept.".to_owned();
    }
    if let Some(Seal::Broken(found)) = media.seal() {
        let found = match found {
            Found::Present(facts) => format!("the bucket holds another one, with the ETag {}", facts.etag),
            Found::Absent => "the bucket holds none".to_owned(),
        };
        return format!("It is kept, since it was confirmed; but its object is not the confirmed one: {found}.");
    }
    match media.attached_to() {
        Some(place) => format!("It is kept: it was confirmed for {place} and stays until it is released."),
        None => "It is kept: it was confirmed and stays until it is released.".to_owned(),
    }
}

fn goes(fate: Fate, reason: CollectReason, collectable_at: DateTime<Utc>) -> String {
    let why = match reason {
        CollectReason::Expired => "nobody has confirmed it",
        CollectReason::Cancelled => "it was released before it was confirmed",
        CollectReason::Detached => "it was released after it was confirmed",
        CollectReason::LateUpload => "its bytes arrived after it had been collected",
    };
    let at = collectable_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match fate {
        Fate::Waiting if reason == CollectReason::Expired => {
            format!("It waits for a confirm; without one it goes at the first collection run after {at}.")
        }
        Fate::Waiting => format!("It goes at the first collection run after {at}: {why}."),
        Fate::Due => format!("It goes at the next collection run: {why} by {at}."),
        Fate::Collecting => format!("It is being deleted: {why}."),
        Fate::Trashed => format!("It is in the trash and can be restored; at {at} it goes for good: {why}."),
        Fate::Gone | Fate::Kept => format!("It is gone: {why}."),
    }
}
