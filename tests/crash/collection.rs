//! `kill -9` in the middle of a big collection.

use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use zeroload_embedded_s3::{EmbeddedS3, Faults, Operation, Settings};

use crate::{
    process::Site,
    world::{Stage, poll, seed},
};

const UPLOADED: usize = 240;
const REQUESTED: usize = 60;
const CONFIRMED: usize = 40;
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_is_killed_again_and_again_is_finished_and_spares_what_is_confirmed() {
    // One run at each start and none by the timer. Small pages, so that there is much to interrupt.
    let mut site = Site::new(&[
        "--ticket-ttl",
        "2s",
        "--grace",
        "3s",
        "--late-write-margin",
        "0s",
        "--collect-every",
        "1h",
        "--delete-page",
        "12",
    ]);
    let faults = bucket_of_ours(&mut site).await;
    let mut stage = Stage::on(site, seed());
    let kinds = [UPLOADED, REQUESTED, CONFIRMED].into_iter().enumerate();
    let lives = kinds.flat_map(|(kind, count)| (0..count).map(move |number| (kind, 1000 * kind + number)));
    stream::iter(lives)
        .for_each_concurrent(16, |(kind, number)| {
            let mut client = stage.client(number);
            async move {
                match kind {
                    0 => client.uploaded().await,
                    1 => drop(client.requested().await),
                    _ => drop(client.confirmed().await),
                }
            }
        })
        .await;
    while stage.collect(true).await["due"] != UPLOADED + REQUESTED {
        poll().await;
    }

    let mut stall = faults.stall(Some(Operation::DeleteObjects), None);
    let run = tokio::spawn(stage.http.post(format!("{}/v1/collections", stage.world.url().await)).send());
    let mut interrupted = 0;
    for kill in 1..=KILLS {
        // The claims of a page are recorded, its deletion is under way: while it is held it cannot end. Only the first
        // is sure to come: after a start all pages may have passed before there is a stall.
        tokio::select! {
            () = stall.reached(1) => {}
            () = stage.has_collected(UPLOADED + REQUESTED), if kill > 1 => break,
        }
        stage.kill();
        stage.read_the_dead();
        interrupted += stage.history.in_state("collecting").len();
        stall.release();
        stage.start_again().await;
        stage.has_collected(kill * (UPLOADED + REQUESTED) / (2 * KILLS)).await;
        stall = faults.stall(Some(Operation::DeleteObjects), None);
    }
    stall.release();
    stage.check().await;
    assert!(run.await.expect("joined").is_err(), "the run that was asked for was interrupted");
    println!("{interrupted} items were claimed and not finished at a kill");
    assert!(interrupted > 0, "no kill came between a claim and its end");
    stage.settled().await;
    assert_eq!(stage.history.in_state("collected").len(), UPLOADED + REQUESTED);
    assert_eq!(stage.history.in_state("confirmed").len(), CONFIRMED);
    assert_eq!(stage.history.count("CollectionStarted"), UPLOADED + REQUESTED, "each item is claimed once");
    stage.everything_holds().await;
}

impl Stage {
    async fn has_collected(&mut self, items: usize) {
        while self.history.count("Collected") < items {
            poll().await;
            self.read_on().await;
        }
    }
}

/// An S3 server in this process, so that it outlives the service and its deletions can be held.
pub async fn bucket_of_ours(site: &mut Site) -> Faults {
    std::fs::create_dir(site.data()).expect("a data folder");
    let settings = Settings { dir: site.data().join("s3"), bucket: "media".to_owned() };
    let server = EmbeddedS3::open(settings).await.expect("the server opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (access_key, secret_key) = (server.access_key().to_owned(), server.secret_key().to_owned());
    let faults = server.faults().clone();
    tokio::spawn(server.serve(listener, std::future::pending()));
    let flags = [
        ("--s3-endpoint", endpoint.as_str()),
        ("--s3-bucket", "media"),
        ("--s3-access-key", access_key.as_str()),
        ("--s3-secret-key", secret_key.as_str()),
    ];
    site.settings.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]));
    faults
}
