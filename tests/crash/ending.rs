//! What must be true once the clients are gone and the collector has done its work.

use std::{process::Stdio, time::Duration};

use futures_util::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::runtime::Handle;
use zeroload_clock::Clock;
use zeroload_journal::postgres::Settings;
use zeroload_projections::{PostgresSettings, ReadModels};

use crate::{
    bucket::{self, BucketClient},
    world::{AT_ONCE, Stage, poll},
};

impl Stage {
    /// Waits until every item is confirmed or collected (P-2), and fails if the collector does not know of one.
    pub async fn settled(&mut self) {
        let read_models = self.read_models().await;
        let clock = Clock::system();
        loop {
            let now = clock.now();
            self.read_on().await;
            let open: Vec<String> = self.history.ids().filter(|id| !self.has_ended(id)).map(str::to_owned).collect();
            if open.is_empty() {
                return read_models.close().await;
            }
            let applied = read_models.checkpoint().await.expect("a checkpoint").position;
            let waits =
                open.iter().any(|id| self.history.collectable_at(id) >= now) || applied < self.history.len() as u64;
            let retries = read_models.retries().count_by_code().await.expect("the notebook of retries");
            if !waits && retries.is_empty() {
                let open: Vec<(String, usize)> = open
                    .into_iter()
                    .map(|id| {
                        let count = self.history.count_of(&id);
                        (id, count)
                    })
                    .collect();
                let report = self.collect(true).await.to_string();
                self.read_on().await;
                // One that another process claims while the report is made may be in neither of its lists.
                let is_stuck = |(id, count): &&(String, usize)| {
                    !self.has_ended(id) && self.history.count_of(id) == *count && !report.contains(id)
                };
                let stuck: Vec<&(String, usize)> = open.iter().filter(is_stuck).collect();
                assert!(stuck.is_empty(), "the collector does not know of {stuck:?}");
            }
            poll().await;
        }
    }

    /// As an analyst opens them, beside the running service.
    async fn read_models(&self) -> ReadModels {
        let mut settings = self.site.settings.iter();
        let opened = match settings.find(|flag| *flag == "--database-url").and_then(|_| settings.next()) {
            Some(url) => {
                let settings = Settings::parse(url).expect("a URL of Postgres");
                let mut how = PostgresSettings::new(Handle::current());
                how.named_statements = !settings.is_pooled();
                ReadModels::connect_postgres_read_only(settings.options(), how).await
            }
            None => ReadModels::open_read_only(self.site.data().join("journal-projections.db")).await,
        };
        opened.expect("the projection opens")
    }

    fn has_ended(&self, id: &str) -> bool {
        matches!(self.history.state(id), "confirmed" | "collected")
    }

    /// Releases every fourth confirmed item.
    pub async fn release_some(&mut self) {
        self.read_on().await;
        let confirmed: Vec<String> = self.history.in_state("confirmed").into_iter().map(str::to_owned).collect();
        for id in confirmed.iter().step_by(4) {
            self.world.ledger.will_release(id);
            let answer =
                self.http.delete(format!("{}/v1/media/{id}", self.world.url().await)).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 202, "{id}");
            self.world.ledger.shown(&answer.json().await.expect("JSON"));
        }
    }

    /// An upload that ended after its item was collected has left bytes: a notice makes the service collect them (P-7).
    pub async fn notice_late_uploads(&mut self) {
        let left = BucketClient::new(&self.s3, &self.site.data()).list().await;
        for id in self.history.in_state("collected") {
            let Some(written) = left.get(&self.history.object_key(id)) else { continue };
            let claimed = self.history.last(id, "CollectionStarted").expect("a claim").recorded_at;
            // S3 tells times in whole seconds.
            assert!(
                written.timestamp() >= claimed.timestamp(),
                "{id} was claimed at {claimed}, its object is of {written}"
            );
            self.world.count("late upload found at the end");
            let notice = self.http.post(format!("{}/v1/media/{id}/uploaded", self.world.url().await)).send().await;
            assert_eq!(notice.expect("an answer").status().as_u16(), 410, "{id}");
        }
        self.settled().await;
    }

    /// Journal, bucket and projection agree, item by item.
    pub async fn everything_holds(&mut self) {
        let items = self.world.ledger.items();
        self.read_on().await;
        self.history.holds(&items);
        let unknown = self.history.ids().filter(|id| !items.iter().any(|item| item.id == **id)).count();
        assert!(unknown as u64 <= self.world.ledger.lost_requests(), "{unknown} items that nobody asked for");
        let report = self.collect(false).await;
        assert_eq!(report["due"], 0, "{report}");
        self.bucket_holds(&items).await;
        self.commands_agree().await;
        self.rebuild_agrees(0).await;
    }

    /// The same, and a rebuild that is killed again and again leaves the live version as it was.
    pub async fn everything_holds_whatever_becomes_of_a_rebuild(&mut self) {
        self.everything_holds().await;
        self.rebuild_agrees(3).await;
    }

    async fn bucket_holds(&self, items: &[crate::ledger::Item]) {
        let bucket = BucketClient::new(&self.s3, &self.site.data());
        let confirmed = self.history.in_state("confirmed");
        let mut keys = bucket.list().await;
        let kept: Vec<_> = items.iter().filter(|item| confirmed.contains(item.id.as_str())).collect();
        for item in &kept {
            let listed = keys.remove(&self.history.object_key(&item.id));
            assert!(listed.is_some(), "the object of confirmed {} is not listed", item.id);
        }
        let mut kept = stream::iter(kept)
            .map(|item| {
                let (bucket, key) = (&bucket, self.history.object_key(&item.id));
                async move { (item, bucket.get(&key).await) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((item, found)) = kept.next().await {
            let found = found.unwrap_or_else(|| panic!("the object of confirmed {} is gone", item.id));
            assert!(found == item.bytes, "the bytes of confirmed {} are others", item.id);
        }
        assert!(keys.is_empty(), "objects that no confirmed item has: {keys:?}");
        let mut collected = stream::iter(self.history.in_state("collected"))
            .map(|id| {
                let (bucket, key) = (&bucket, self.history.object_key(id));
                async move { (id, bucket.holds(&key).await) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((id, held)) = collected.next().await {
            assert!(!held, "the object of collected {id} is still there");
        }
        // A server that was not started anew may be about to remove the file of a row that is gone: it does so after the answer.
        let mut mismatched = bucket::mismatched_files(&self.site.data()).await;
        while !mismatched.is_empty() {
            println!("files without a row, or rows without a file: {mismatched:?}");
            poll().await;
            mismatched = bucket::mismatched_files(&self.site.data()).await;
        }
    }

    /// The subcommands see the same beside the running server.
    async fn commands_agree(&mut self) {
        let known = self.history.len();
        let verified = self.site.run(&["verify"]);
        let (line, error) = (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        assert!(verified.status.success(), "verify: {error}");
        let replayed = self.site.run(&["replay", "--json"]);
        assert!(replayed.status.success());
        // All items have ended, but a collector's run may note its own end meanwhile.
        self.read_on().await;
        let stopped: usize = line.split(':').next().and_then(|position| position.parse().ok()).expect("a position");
        let now = self.history.len();
        assert!(known <= stopped && stopped <= now, "verify stopped at {line}, {known} were known");
        let replayed = String::from_utf8(replayed.stdout).expect("text");
        assert!(replayed.lines().count() >= known, "replay ends before {known}");
        assert!(self.history.text().starts_with(&replayed), "replay and /v1/events differ");
    }

    /// The live projection is, row by row, what a rebuild gives (P-4), after so many that are killed at some moment.
    async fn rebuild_agrees(&self, kills: u32) {
        let read_models = self.read_models().await;
        while read_models.checkpoint().await.expect("a checkpoint").position < self.history.len() as u64 {
            poll().await;
        }
        let mut live = Vec::new();
        let before = read_models.dump(None, |row| live.push(format!("{row:?}"))).await.expect("a dump");
        let mut rng = StdRng::seed_from_u64(self.seed);
        for _ in 0..kills {
            // The next one takes over.
            let mut rebuild =
                self.site.command(&["projections", "rebuild"]).stdout(Stdio::null()).spawn().expect("it starts");
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..400_000))).await;
            rebuild.kill().expect("killed");
            rebuild.wait().expect("it ended");
        }
        let rebuilt = self.site.run(&["projections", "rebuild"]);
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        let mut anew = Vec::new();
        let after = read_models.dump(None, |row| anew.push(format!("{row:?}"))).await.expect("a dump");
        read_models.close().await;
        assert_eq!(live.iter().zip(&anew).find(|(live, anew)| live != anew), None, "a row differs after a rebuild");
        assert_eq!((before.rows, before.digest), (after.rows, after.digest));
        assert!(after.position >= before.position, "the rebuild ends at {}, not {}", after.position, before.position);
        assert!(after.version > before.version, "nothing was rebuilt");
        assert_eq!(after.rows as usize, self.history.ids().count(), "one row for each item");
    }
}
