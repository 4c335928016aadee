//! The work of a process as it would be with a [`Flaw`](super::flaw::Flaw).

use uuid::Uuid;
use zeroload_domain::{ByteSize, Claim, CollectOutcome, Command, Event, Media, event::Collected};
use zeroload_projections::{DueItem, What};

use super::process::Process;
use crate::{
    commands::{Loaded, Origin},
    projector::read_batch,
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
    let Ok(mut batch) = read_batch(process.journal.reader(), checkpoint.position, 1000).await else { return };
    for recorded in &mut batch {
        if let What::Media(_, event @ Event::Confirmed(_)) = &mut recorded.what {
            let (claim, outcome) = (Claim::FIRST, CollectOutcome::Absent);
            *event = Event::Collected(Collected { claim, outcome, bytes_freed: ByteSize::default() });
        }
    }
    // What failed is read rightly later.
    let _failed = process.read_models.apply(&batch).await;
}

fn location(item: &DueItem) -> Location<'_> {
    Location { store: &item.store, bucket: &item.bucket, object_key: &item.object_key }
}
