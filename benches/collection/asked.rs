//! What the service under test says of itself.

use std::time::Duration;

use serde::Deserialize;

use crate::{Failure, service::Service};

/// Between two questions.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Runs that are asked for at once.
const RUNS: usize = 1000;

/// The journal's last position.
pub async fn head(service: &Service) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Projections {
        head: u64,
    }
    let url = format!("http://{}/v1/projections", service.address);
    Ok(service.client.get(url).send().await?.error_for_status()?.json::<Projections>().await?.head)
}

/// Of one run.
#[derive(Deserialize)]
pub struct Report {
    pub due: u64,
}

/// Asks for a run now, and waits for its end.
pub async fn run(service: &Service) -> Result<Report, Failure> {
    let url = format!("http://{}/v1/collections", service.address);
    let asked = service.client.post(url).header("content-type", "application/json").body("{}");
    Ok(asked.send().await?.error_for_status()?.json().await?)
}

/// Items that all runs together have deleted, by their own records.
pub async fn collected(service: &Service) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Runs {
        runs: Vec<Run>,
    }
    #[derive(Deserialize)]
    struct Run {
        collected: Option<u64>,
    }
    let url = format!("http://{}/v1/collections?limit={RUNS}", service.address);
    let runs: Runs = service.client.get(url).send().await?.error_for_status()?.json().await?;
    Ok(runs.runs.iter().filter_map(|run| run.collected).sum())
}
