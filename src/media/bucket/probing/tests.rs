use std::sync::atomic::{AtomicI64, Ordering};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use super::*;
use crate::storage::test_s3::{RealServer, now};

/// A probing whose clock stands still unless the test moves it: by less than what a server refuses.
struct World {
    server: RealServer,
    probing: Probing,
    ahead: Arc<AtomicI64>,
}

impl World {
    async fn new() -> Self {
        let server = RealServer::with(&[]).await;
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let (ahead, start) = (ahead.clone(), now());
            Clock::driven(move || start + TimeDelta::seconds(ahead.load(Ordering::Relaxed)))
        };
        let gateway = Gateway::connect(server.settings.clone()).await.unwrap();
        Self { server, probing: Probing::new(gateway, clock), ahead }
    }

    /// Whether a check of the bucket `seconds` later probes again.
    async fn probes_after(&self, seconds: i64) -> bool {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
        let before = self.probing.state().probed_at;
        self.probing.probe_if_due(false, Need::Now).await;
        self.probing.state().probed_at != before
    }

    fn status_of(&self, name: &str) -> Status {
        self.probing.checks().iter().find(|check| check.name == name).expect("it is checked").status
    }
}

#[tokio::test]
async fn what_failed_is_probed_again_with_growing_pauses_until_it_is_right() {
    let world = World::new().await;
    let faults = world.server.faults.as_ref().unwrap();
    faults.add(Fault::new(Effect::Refuse(Refusal::InternalError)).on(Operation::PutObject));
    assert!(world.probes_after(0).await);
    assert_eq!(world.status_of("s3-ticket"), Status::Failed);
    assert!(!world.probes_after(4).await && world.probes_after(1).await);
    assert!(!world.probes_after(9).await && world.probes_after(1).await, "the second pause is the first one's double");
    assert_eq!(world.status_of("s3-ticket"), Status::Failed);

    faults.clear();
    assert!(!world.probes_after(19).await && world.probes_after(1).await);
    assert_eq!(world.status_of("s3-ticket"), Status::Ok);
    assert!(!world.probes_after(700).await, "nothing is left open");
}

#[tokio::test]
async fn what_could_not_be_found_out_is_probed_again_too() {
    let world = World::new().await;
    let faults = world.server.faults.as_ref().unwrap();
    faults.add(Fault::new(Effect::Refuse(Refusal::InternalError)).on(Operation::DeleteObject));
    assert!(world.probes_after(0).await);
    assert_eq!(world.status_of("s3-conditional-delete"), Status::Degraded);
    faults.clear();
    assert!(world.probes_after(5).await);
    assert_eq!(world.status_of("s3-conditional-delete"), Status::Ok);
}

#[tokio::test]
async fn a_404_of_somebody_else_is_shown_and_makes_the_server_be_probed_again() {
    let world = World::new().await;
    assert!(world.probes_after(0).await);
    assert_eq!(world.status_of("s3-absence"), Status::Ok);
    assert!(!world.probes_after(10).await);
    let faults = world.server.faults.as_ref().unwrap();
    faults.add(Fault::new(Effect::StandIn).on(Operation::HeadObject).once());
    let item = crate::storage::test_s3::Item::fresh(&world.probing.gateway);
    assert!(world.probing.gateway.head(&item.at()).await.is_err());
    let checks = world.probing.checks();
    let absence = checks.iter().find(|check| check.name == "s3-absence").unwrap();
    assert_eq!(absence.status, Status::Degraded);
    assert!(
        absence.detail.contains("text/plain") && absence.detail.contains("without x-amz-request-id"),
        "{absence:?}"
    );
    assert!(world.probes_after(10).await);
    assert_eq!(world.status_of("s3-absence"), Status::Ok);
    assert_eq!(world.probing.gateway.head(&item.at()).await, Ok(None));
}
