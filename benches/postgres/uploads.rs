//! Uploads through the service, as clients and backends make them: a ticket, a PUT, and word that it is done.

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Failure, service::Service};

/// Uploads under way at once.
const AT_ONCE: usize = 64;

/// Items of one byte whose upload the service has recorded; their ids.
pub async fn recorded(service: &Service, count: usize) -> Result<Vec<Uuid>, Failure> {
    stream::iter(0..count).map(|_| one(service)).buffer_unordered(AT_ONCE).try_collect().await
}

async fn one(service: &Service) -> Result<Uuid, Failure> {
    let media = format!("http://{}/v1/media", service.address);
    let wish = json!({ "owner": "user-7", "content_type": "image/jpeg", "content_length": 1 });
    let item: Value = service.client.post(&media).json(&wish).send().await?.error_for_status()?.json().await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("the answer holds no ticket");
    let (id, url) = (text(&item["id"])?, text(&item["upload"]["url"])?);
    let mut put = service.client.put(url).body("x");
    for (name, value) in item["upload"]["headers"].as_object().into_iter().flatten() {
        put = put.header(name, text(value)?);
    }
    put.send().await?.error_for_status()?;
    service.client.post(format!("{media}/{id}/uploaded")).send().await?.error_for_status()?;
    Ok(id.parse()?)
}
