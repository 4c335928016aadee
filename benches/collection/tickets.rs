//! Tickets while a backlog is collected, and without.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    Failure, asked,
    load::{Calls, Load},
    samples::Samples,
    service::Service,
    wish::Tickets,
};

/// Kept connections.
pub const CONNECTIONS: usize = 16;

/// Tickets at a fixed rate; as fast as they come if that is 0.
struct Paced {
    per_second: u32,
}

impl Calls for Paced {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        Tickets.write(number, request);
    }

    fn wanted(&self) -> (&'static [u8], &'static [u8]) {
        Tickets.wanted()
    }

    fn is_answered(&self, body: &Value) -> bool {
        Tickets.is_answered(body)
    }

    fn due(&self, number: u64) -> Option<Duration> {
        (self.per_second > 0).then(|| Duration::from_secs_f64(number as f64 / f64::from(self.per_second)))
    }
}

/// How tickets fared, and what was appended besides.
pub struct Beside {
    pub samples: Samples,
    /// Events of others per second.
    pub others: f64,
}

/// After a fifth of the time that does not count: a service that has just begun takes more than its part of a backlog.
///
/// The clients have one thread and one runtime of their own, as they do in the other benchmarks.
pub async fn load(service: &Service, length: Duration, per_second: u32) -> Result<Beside, Failure> {
    clients(service, length / 5, per_second).await?;
    let (before, begun) = (asked::head(service).await?, Instant::now());
    let samples = clients(service, length, per_second).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let appended = asked::head(service).await? - before;
    Ok(Beside { others: appended.saturating_sub(samples.count()) as f64 / elapsed, samples })
}

async fn clients(service: &Service, length: Duration, per_second: u32) -> Result<Samples, Failure> {
    let address = service.address;
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Load { connections: CONNECTIONS, length, calls: &Paced { per_second } }.run(address))
    };
    tokio::task::spawn_blocking(run).await?
}
