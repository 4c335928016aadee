//! Items that are due, collected end to end by the real binary.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};

use crate::{
    Failure, asked,
    bucket::Bucket,
    memory,
    past::{self, Ending},
    place::Place,
    service::Service,
};

/// What all of these items need in place of the defaults: nobody confirms any of them, and they were requested days ago.
pub const SETTINGS: [&str; 4] = ["--brake-share", "100%", "--brake-silence", "30d"];

/// Events of an item that is collected: requested and uploaded, claimed and collected.
const EVENTS: u64 = 4;

/// How a backlog was collected.
pub struct Collected {
    pub items: u64,
    pub elapsed: Duration,
    /// Of the service.
    pub cpu: Duration,
    /// Bytes; the highest that was seen.
    pub resident: u64,
    /// Bytes; by the kernel.
    pub peak: u64,
}

impl Collected {
    pub fn per_second(&self) -> f64 {
        self.items as f64 / self.elapsed.as_secs_f64()
    }
}

/// So many items whose upload is recorded and whose time is over, with their objects and read models.
pub async fn make(place: &Place<'_>, items: u64) -> Result<(), Failure> {
    let mut bucket = Bucket::open(&place.data).await?;
    let begin = Utc::now() - TimeDelta::days(3);
    past::fill(&place.database, items, begin, |_| Ending::Uploaded, async |keys| bucket.lay(&keys).await).await?;
    bucket.close().await?;
    place.rebuild().await
}

/// Waits for the end of a backlog of so many items that a service just began with.
pub async fn collect(service: &Service, items: u64) -> Result<Collected, Failure> {
    let (begun, cpu) = (Instant::now(), service.cpu_time()?);
    let mut resident = 0;
    while asked::head(service).await? < items * EVENTS {
        resident = resident.max(memory::of(&service.pid.to_string())?.resident);
        tokio::time::sleep(asked::PAUSE).await;
    }
    // After the run that is under way, which may have a few to go: each run has events of its own.
    while asked::run(service).await?.due > 0 {}
    let (elapsed, cpu) = (begun.elapsed(), service.cpu_time()? - cpu);
    let peak = memory::of(&service.pid.to_string())?.peak;
    let collected = asked::collected(service).await?;
    if collected != items {
        return Err(format!("{items} items were due, and {collected} collected").into());
    }
    Ok(Collected { items, elapsed, cpu, resident, peak })
}

/// # Errors
/// Says what is left in the bucket. Its server must not run.
pub async fn is_empty(place: &Place<'_>) -> Result<(), Failure> {
    match Bucket::open(&place.data).await?.count().await? {
        // The marker.
        (0, 1) => Ok(()),
        (objects, files) => Err(format!("{objects} objects and {files} files are left").into()),
    }
}
