//! The work of a process as it would be with a [`Flaw`](super::flaw::Flaw).

use std::time::Duration;

use uuid::Uuid;
use zeroload_domain::{
    ByteSize, Claim, CollectOutcome, Command, Event, Media, ObjectFacts, Seen, TrashLocation, event::Collected,
    media::Claimed,
};
use zeroload_projections::{DueItem, RecordedBody};

use super::process::Process;
use crate::{
    background::projector::{Batch, read_batch},
    media::{Loaded, commands::Origin},
    storage::Location,
};

/// The collector's list is taken for the truth.
pub async fn delete_before_the_claim(process: &Process) {
    let Ok(due) = process.read_models.due(process.clock.now(), None, 100).await else { return };
    process.gateway.delete(&due.iter().map(location).collect::<Vec<_>>()).await;
}

/// Whatever is claimed counts as gone once its delete was sent.
pub async fn believe_any_answer(process: &Process) {
    let now = process.clock.now();
    let Ok(due) = process.read_models.due(now, None, 100).await else { return };
    let origin = Origin { request_id: "saboteur".to_owned(), caller: "saboteur".to_owned(), route: "collector run" };
    for item in due {
        let execute = |command| process.commands.execute_internal(item.media_id, command, &origin, now);
        let start = Command::StartCollection { run_id: Uuid::nil(), looked: None };
        if let Ok(Loaded { media: Media::Collecting(_, claimed), .. }) = execute(start).await {
            process.gateway.delete(&[location(&item)]).await;
            // Somebody else may have been quicker.
            let _refused = execute(Command::FinishCollection { claim: claimed.claim, freed: None }).await;
        }
    }
}

/// A confirm is taken for a collection.
pub async fn misread(process: &Process) {
    let Ok(checkpoint) = process.read_models.checkpoint().await else { return };
    let Ok(Batch { events: mut batch, mark }) = read_batch(process.journal.reader(), checkpoint.position, 1000).await
    else {
        return;
    };
    for recorded in &mut batch {
        if let RecordedBody::Media(_, event @ Event::Confirmed(_)) = &mut recorded.what {
            let (claim, outcome) = (Claim::FIRST, CollectOutcome::Absent);
            *event = Event::Collected(Collected { claim, outcome, bytes_freed: ByteSize::default() });
        }
    }
    // What failed is read rightly later.
    let _failed = process.read_models.apply(&batch, mark.as_ref()).await;
}

/// What is to come back is taken out of the trash first.
pub async fn empty_the_trash(process: &Process) {
    let Ok(unfinished) = process.read_models.unfinished(process.clock.now(), None, 100).await else { return };
    for item in unfinished {
        if let Ok(Loaded { media: Media::Restoring(_, kept, _), .. }) =
            process.commands.load_of(item.media_id, None).await
            && let TrashLocation::Copy { trash_key } = &kept.place
        {
            process.gateway.delete(&[Location { object_key: trash_key, ..location(&item) }]).await;
        }
    }
}

/// What is claimed is moved, and whatever has come meanwhile is moved once more, as if nothing were known of either.
pub async fn keep_what_is_there(process: &Process) {
    let now = process.clock.now();
    let Ok(due) = process.read_models.due(now, None, 100).await else { return };
    let origin = Origin { request_id: "saboteur".to_owned(), caller: "saboteur".to_owned(), route: "collector run" };
    for item in due {
        let Ok(Some(ObjectFacts { etag, content_length, .. })) = process.gateway.head(&location(&item)).await else {
            continue;
        };
        let execute = |command| process.commands.execute_internal(item.media_id, command, &origin, now);
        let looked = Some(Seen::present(etag, content_length));
        let start = Command::StartCollection { run_id: Uuid::nil(), looked };
        if let Ok(Loaded { media: Media::Collecting(_, claimed), .. }) = execute(start).await
            && claimed.trash_until.is_some()
        {
            let claimed = Claimed { seen: Seen::Unknown, ..claimed };
            process.gateway.trash(&location(&item), &claimed).await;
            process.world.sim.sleep(Duration::from_secs(60)).await;
            process.gateway.trash(&location(&item), &claimed).await;
        }
    }
}

fn location(item: &DueItem) -> Location<'_> {
    Location { store: &item.store, bucket: &item.bucket, object_key: &item.object_key }
}
