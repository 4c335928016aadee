//! `zeroload restore`.

use std::process::ExitCode;

use zeroload_clock::{Clock, Ids};
use zeroload_domain::{AttachedTo, MediaId};

use super::{Ended, output::print};
use crate::{
    app::{Core, StartError, serving_address},
    http::MediaShape,
    media::commands::Origin,
    settings::Settings,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// The item's id
    #[arg(value_parser = MediaId::parse)]
    id: MediaId,
    /// What it belongs to from now on, in the backend's own words
    #[arg(long, value_parser = |text: &str| AttachedTo::parse(text))]
    attached_to: Option<AttachedTo>,
}

pub async fn run(settings: &Settings, arguments: Arguments, clock: Clock, ids: Ids) -> Ended {
    let Arguments { id, attached_to } = arguments;
    let core = match Core::open(settings, clock, ids).await {
        Ok(core) => core,
        Err(StartError::Journal(error)) if error.is_already_writing() => {
            let body = attached_to.map_or_else(String::new, |place| {
                let body = serde_json::json!({ "attached_to": place }).to_string();
                format!(" -H 'Content-Type: application/json' -d '{}'", body.replace('\'', "'\\''"))
            });
            return super::fail(format!(
                "{error}\nask it instead: curl -X POST{body} http://{}/v1/media/{id}/restore",
                serving_address(settings)
            ));
        }
        Err(error) => return Err(error.into()),
    };
    core.look_at_bucket().await;
    let origin = Origin {
        request_id: core.ids.new_id(core.clock.now()).to_string(),
        caller: "zeroload restore".to_owned(),
        route: "zeroload restore",
    };
    let restored = core.service.restore(id, None, attached_to, &origin).await;
    core.close().await;
    print(serde_json::to_string_pretty(&MediaShape::of(&restored?, None))?)?;
    Ok(ExitCode::SUCCESS)
}
