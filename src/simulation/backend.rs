//! What backends and their clients do with an item: calls that are repeated until they are answered, uploads that take
//! their time, and no care for the order of things.

use std::{pin::pin, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::future::{join, select};
use tokio::sync::oneshot;
use zeroload_domain::{AttachedTo, ByteSize, ContentType, IdempotencyKey, MediaId, Owner, SeenVia, Tenant};

use super::{
    bucket::Asked,
    network::{BUCKET, ENDPOINT},
    process::Process,
    sim::Group,
    world::World,
};
use crate::{
    media::{
        Loaded, ServiceError,
        commands::{CommandError, Origin},
        service::NewMedia,
    },
    storage::Upload,
};

/// Bytes of each object.
const LENGTH: u64 = 10;
/// How often a call is repeated before the backend gives up.
const TRIES: usize = 5;

pub fn origin() -> Origin {
    Origin { request_id: "r".to_owned(), caller: "backend".to_owned(), route: "simulated" }
}

fn tenant() -> Tenant {
    Tenant::parse("default").expect("a name")
}

/// One item, from its request on.
pub async fn care_for(world: &World, number: u64) {
    let sim = &world.sim;
    sim.sleep(sim.between(Duration::ZERO, Duration::from_secs(10))).await;
    let key = sim.percent(60).then(|| IdempotencyKey::parse(format!("key-{number}")).expect("a key"));
    let Some((loaded, upload)) = request(world, key).await else { return };
    if let Some(upload) = upload.filter(|_| sim.percent(85)) {
        begin_upload(world, upload);
    }
    let mut item = Item { world, id: loaded.id, known: loaded };
    for _ in 0..=sim.below(3) {
        item.wait().await;
        item.act().await;
    }
    if world.keeps_trash && sim.percent(60) {
        sim.sleep(sim.between(Duration::ZERO, Duration::from_secs(150))).await;
        item.restore().await;
        item.wait().await;
        item.act().await;
    }
}

struct Item<'a> {
    world: &'a World,
    id: MediaId,
    /// As it was last answered.
    known: Loaded,
}

impl Item<'_> {
    /// For a while, or until a collector comes for it.
    async fn wait(&self) {
        let sim = &self.world.sim;
        let due = self.known.media.ticketed().map(|ticketed| ticketed.deadlines.collectable_at);
        let near = due.filter(|due| *due - sim.now() < TimeDelta::minutes(3) && sim.percent(50));
        match near {
            Some(due) => {
                sim.sleep_until(due).await;
                let begun = pin!(self.world.run_begins.notified());
                select(begun, pin!(sim.sleep(Duration::from_secs(20)))).await;
                sim.sleep(sim.between(Duration::ZERO, Duration::from_millis(1200))).await;
            }
            None => sim.sleep(sim.between(Duration::ZERO, Duration::from_secs(20))).await,
        }
    }

    async fn act(&mut self) {
        let place = self.world.sim.percent(50).then(|| AttachedTo::parse("post").expect("a name"));
        let answered = match self.world.sim.below(10) {
            0 | 1 => self.notice().await,
            2 => self.renew().await,
            3..=6 => self.confirm(place).await,
            7 => {
                let both = join(self.confirm(place.clone()), self.confirm(place));
                let (first, second) = both.await;
                first.or(second)
            }
            _ => self.release().await,
        };
        if let Some(loaded) = answered {
            self.known = loaded;
        }
    }

    async fn notice(&self) -> Option<Loaded> {
        let id = self.id;
        repeat(self.world, move |process| async move {
            let allowance = process.service.allowance();
            process.service.uploaded(id, &tenant(), SeenVia::Notice, &origin(), &allowance).await
        })
        .await
    }

    async fn confirm(&self, place: Option<AttachedTo>) -> Option<Loaded> {
        let id = self.id;
        let call = move |process: Arc<Process>| {
            let place = place.clone();
            async move {
                let allowance = process.service.allowance();
                process.service.confirm(id, &tenant(), place, &origin(), &allowance).await
            }
        };
        repeat(self.world, call).await
    }

    async fn release(&self) -> Option<Loaded> {
        let id = self.id;
        self.world.releases(id);
        repeat(self.world, move |process| async move { process.service.release(id, &tenant(), &origin()).await }).await
    }

    /// An operator wants it back, and asks until the trash has it.
    async fn restore(&mut self) {
        let id = self.id;
        for _ in 0..4 {
            let call =
                move |process: Arc<Process>| async move { process.service.restore(id, None, None, &origin()).await };
            if let Some(loaded) = repeat(self.world, call).await {
                self.known = loaded;
                return;
            }
            self.world.sim.sleep(self.world.sim.between(Duration::ZERO, Duration::from_secs(60))).await;
        }
    }

    async fn renew(&self) -> Option<Loaded> {
        let id = self.id;
        let call = move |process: Arc<Process>| async move {
            let issued = process.service.renew(id, &tenant(), None, &origin()).await?;
            Ok((issued.loaded, issued.upload))
        };
        let (loaded, upload) = repeat(self.world, call).await?;
        if let Some(upload) = upload {
            begin_upload(self.world, upload);
        }
        Some(loaded)
    }
}

async fn request(world: &World, key: Option<IdempotencyKey>) -> Option<(Loaded, Option<Upload>)> {
    let call = move |process: Arc<Process>| {
        let key = key.clone();
        async move {
            let wish = NewMedia {
                owner: Owner::parse("ann").expect("a name"),
                content_type: ContentType::parse("image/jpeg").expect("a type"),
                content_length: ByteSize::new(LENGTH),
                checksum_sha256: None,
                filename: None,
            };
            let issued = process.service.request(&tenant(), wish, key.as_ref(), &origin()).await?;
            Ok((issued.loaded, issued.upload))
        }
    };
    repeat(world, call).await
}

/// What an answer says of the item.
trait Told: Send + 'static {
    fn loaded(&self) -> &Loaded;
}

impl Told for Loaded {
    fn loaded(&self) -> &Loaded {
        self
    }
}

impl Told for (Loaded, Option<Upload>) {
    fn loaded(&self) -> &Loaded {
        &self.0
    }
}

/// Calls any process that is up, again and again until one says yes or no.
async fn repeat<T: Told, F>(world: &World, call: impl Fn(Arc<Process>) -> F) -> Option<T>
where
    F: Future<Output = Result<T, ServiceError>> + Send + 'static,
{
    let sim = &world.sim;
    for _ in 0..TRIES {
        if let Some(process) = world.any_process() {
            let (answer, answered) = oneshot::channel();
            let called = call(process.clone());
            // It ends with its process, and goes on without its caller.
            sim.spawn(process.group, async move {
                // Whoever has called may have gone.
                let _gone = answer.send(called.await);
            });
            match answered.await {
                Ok(Ok(_)) if sim.trouble(5) => sim.note(|| "an answer to a backend is lost".to_owned()),
                Ok(Ok(told)) => {
                    world.acknowledged(told.loaded());
                    sim.note(|| format!("acknowledged: {} at {}", told.loaded().id, told.loaded().sequence));
                    return Some(told);
                }
                Ok(Err(ServiceError::Command(CommandError::Refused(refusal)))) => {
                    sim.note(|| format!("refused: {}", refusal.code()));
                    return None;
                }
                Ok(Err(error)) => sim.note(|| format!("failed: {error}")),
                Err(_) => sim.note(|| "a process died with a call".to_owned()),
            }
        }
        sim.sleep(sim.between(Duration::from_millis(100), Duration::from_secs(8))).await;
    }
    None
}

/// A client sends the bytes, once or more. The bucket checks the ticket's end when a PUT begins; when it lands is the
/// network's affair.
fn begin_upload(world: &World, upload: Upload) {
    let (sim, bucket) = (world.sim.clone(), world.bucket.clone());
    let path = upload.url.strip_prefix(ENDPOINT).and_then(|path| path.strip_prefix('/')?.strip_prefix(BUCKET));
    let (key, query) = path.and_then(|path| path.split_once('?')).expect("a ticket has a query");
    let asked = Asked {
        method: upload.method.to_owned(),
        key: key.trim_start_matches('/').to_owned(),
        query: query.chars().take(14).collect(),
        only_over: None,
        only_if_absent: upload.headers.get("if-none-match").is_some_and(|condition| condition == "*"),
        content_type: upload.headers["content-type"].clone(),
        copied: None,
        body: vec![b'x'; LENGTH as usize],
    };
    world.sim.spawn(Group::Network, async move {
        let s = Duration::from_secs;
        for _ in 0..=sim.below(2) {
            sim.sleep(sim.between(s(0), s(15))).await;
            if sim.now() > upload.expires_at {
                return;
            }
            let slow = if sim.percent(30) { sim.between(s(0), s(150)) } else { sim.latency() };
            let (bucket, asked, sending) = (bucket.clone(), asked.clone(), sim.sleep(slow));
            sim.spawn(Group::Network, async move {
                sending.await;
                bucket.carry_out(&asked);
            });
        }
    });
}
