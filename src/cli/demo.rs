//! `zeroload demo`: a small crowd of clients against a running server, or one of its own.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use futures_util::{StreamExt, stream};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zeroload_clock::{Clock, Ids};
use zeroload_domain::Sha256Digest;

use super::{Ended, fail, output::print, progress::Progress};
use crate::{
    app::{Core, Server},
    settings::{RawSettings, Settings},
};

/// Clients that act at once.
const AT_ONCE: usize = 8;

#[derive(clap::Args)]
pub struct Arguments {
    /// A running server, such as http://127.0.0.1:8080 [default: one of its own, which forgets everything]
    #[arg(long)]
    url: Option<String>,
    /// API key of an operator, where the running server has keys
    #[arg(long, env = "ZEROLOAD_DEMO_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How many clients
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Upload the files of this folder, in turn [default: files made for the purpose]
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
}

/// What a client does with its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Habit {
    Finishes,
    Cancels,
    VanishesAfterUpload,
    NeverUploads,
}

impl Habit {
    const ALL: [Self; 4] = [Self::Finishes, Self::Cancels, Self::VanishesAfterUpload, Self::NeverUploads];

    const fn words(self) -> &'static str {
        match self {
            Self::Finishes => "uploads and confirms",
            Self::Cancels => "uploads, then cancels",
            Self::VanishesAfterUpload => "vanishes after the upload",
            Self::NeverUploads => "never uploads",
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub fn run(arguments: Arguments, runtime: &Runtime, clock: Clock, ids: Ids) -> Ended {
    if let Some(url) = arguments.url.clone() {
        return runtime.block_on(play(&url, &arguments));
    }
    let dir = std::env::temp_dir().join(format!("zeroload-demo-{}", ids.new_id(clock.now())));
    let text = |value: &str| Some(value.to_owned());
    let settings = Settings::try_from(RawSettings {
        listen: text("127.0.0.1:0"),
        embedded_s3_listen: text("127.0.0.1:0"),
        data_dir: Some(dir.display().to_string()),
        ticket_ttl: text("2s"),
        grace: text("4s"),
        late_write_margin: text("0s"),
        collect_every: text("1s"),
        ..RawSettings::default()
    })?;
    let core = runtime.block_on(Core::open(&settings, clock, ids))?;
    runtime.block_on(core.look_at_bucket());
    let handle = runtime.handle().clone();
    let ended = actix_web::rt::System::new().block_on(async {
        let server = Server::start(core, &settings, handle.clone())?;
        let url = format!("http://{}", server.address);
        let own = format!("A server of its own: {url}, tickets for 2 s, 4 s to confirm, collection every second.");
        let played = handle.spawn(async move {
            print(own)?;
            play(&url, &arguments).await
        });
        let played = played.await;
        server.stop().await;
        played?
    });
    std::fs::remove_dir_all(&dir)?;
    ended
}

async fn play(url: &str, arguments: &Arguments) -> Ended {
    let api = Backend { client: Client::new(), url: url.trim_end_matches('/').to_owned(), key: arguments.key.clone() };
    let files = files(arguments.files.as_ref())?;
    let clients = u64::from(arguments.clients);
    let bar = Progress::start("clients", clients);
    let mut crowd = stream::iter(0..arguments.clients as usize)
        .map(|number| {
            let habit = Habit::ALL[number % Habit::ALL.len()];
            let file = &files[number % files.len()];
            let api = &api;
            async move { act(api, habit, file).await.map(|id| (habit, id)) }
        })
        .buffer_unordered(AT_ONCE);
    let mut items = Vec::new();
    while let Some(item) = crowd.next().await {
        items.push(item?);
        bar.at(items.len() as u64, clients);
    }
    drop(crowd);
    bar.end();
    print(format_args!("{} clients have played:", items.len()))?;
    print_states(&api, &items).await?;
    wait_for_collection(&api, &items).await?;
    print("What is left:")?;
    let intact = print_states(&api, &items).await?;
    if intact { Ok(ExitCode::SUCCESS) } else { fail("an item did not end as its client's habit says") }
}

/// One client's life; the id of its item.
async fn act(api: &Backend, habit: Habit, file: &File) -> Result<String> {
    let wish = json!({
        "owner": "demo", "content_type": file.content_type, "content_length": file.bytes.len(),
        "checksum_sha256": Sha256Digest::of(&file.bytes).to_string(),
    });
    let media = api.call(Method::POST, "/v1/media", Some(wish), StatusCode::CREATED).await?;
    let id = media["id"].as_str().ok_or("the answer has no id")?.to_owned();
    if habit == Habit::NeverUploads {
        return Ok(id);
    }
    let upload = &media["upload"];
    let mut put = api.client.put(upload["url"].as_str().ok_or("the answer has no upload")?).body(file.bytes.clone());
    for (name, value) in upload["headers"].as_object().into_iter().flatten() {
        put = put.header(name, value.as_str().unwrap_or_default());
    }
    let status = put.send().await.map_err(reqwest::Error::without_url)?.status();
    if !status.is_success() {
        return Err(format!("the upload of {id} was answered {status}").into());
    }
    match habit {
        Habit::Finishes => {
            let attached = Some(json!({ "attached_to": format!("post-{id}") }));
            api.call(Method::POST, &format!("/v1/media/{id}/confirm"), attached, StatusCode::OK).await?;
        }
        Habit::Cancels => {
            api.call(Method::DELETE, &format!("/v1/media/{id}"), None, StatusCode::ACCEPTED).await?;
        }
        Habit::VanishesAfterUpload | Habit::NeverUploads => {}
    }
    Ok(id)
}

/// Waits until nothing but confirmed items is left, or says until when that takes.
async fn wait_for_collection(api: &Backend, items: &[(Habit, String)]) -> Result<()> {
    let open: Vec<_> = items.iter().filter(|(habit, _)| *habit != Habit::Finishes).collect();
    let mut latest = None;
    for (_, id) in &open {
        let media = api.media(id).await?;
        latest = latest.max(media["collectable_at"].as_str().map(str::to_owned));
    }
    let Some(latest) = latest else { return Ok(()) };
    let due = chrono::DateTime::parse_from_rfc3339(&latest)?.with_timezone(&chrono::Utc);
    let wait = due - Clock::system().now();
    if wait > chrono::TimeDelta::minutes(1) {
        print(format_args!(
            "The server's own settings let unconfirmed items live until {latest}; the demo does not wait."
        ))?;
        return Ok(());
    }
    let bar = Progress::start("items collected", open.len() as u64);
    loop {
        let mut collected = 0;
        for (_, id) in &open {
            collected += u64::from(api.media(id).await?["state"] == "collected");
        }
        bar.at(collected, open.len() as u64);
        if collected == open.len() as u64 {
            bar.end();
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A table of habits and states; whether each item is where its habit leads.
async fn print_states(api: &Backend, items: &[(Habit, String)]) -> Result<bool> {
    let mut table: BTreeMap<(Habit, String), usize> = BTreeMap::new();
    for (habit, id) in items {
        let state = api.media(id).await?["state"].as_str().unwrap_or_default().to_owned();
        *table.entry((*habit, state)).or_default() += 1;
    }
    for ((habit, state), count) in &table {
        print(format_args!("  {:<28} {count:>5} {state}", habit.words()))?;
    }
    Ok(table.keys().all(|(habit, state)| (*habit == Habit::Finishes) == (state == "confirmed")))
}

struct File {
    content_type: &'static str,
    bytes: bytes::Bytes,
}

fn files(dir: Option<&PathBuf>) -> Result<Vec<File>> {
    let Some(dir) = dir else {
        let sizes = [1024, 40 * 1024, 300 * 1024];
        return Ok(sizes.iter().map(|size| File { content_type: "image/bmp", bytes: bitmap(*size).into() }).collect());
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = std::fs::read(&path)?;
            if !bytes.is_empty() {
                files.push(File { content_type: content_type(&path), bytes: bytes.into() });
            }
        }
    }
    if files.is_empty() { fail(format!("{} holds no files", dir.display())) } else { Ok(files) }
}

fn content_type(path: &std::path::Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// A valid grey-scale-like 24-bit bitmap of about `size` bytes: one row of pixels after the two fixed headers.
fn bitmap(size: u32) -> Vec<u8> {
    const HEADERS: u32 = 54;
    let width = (size - HEADERS) / 12 * 4;
    let pixels = width * 3;
    let mut file = Vec::with_capacity((HEADERS + pixels) as usize);
    file.extend_from_slice(b"BM");
    for field in [HEADERS + pixels, 0, HEADERS, 40, width, 1] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(&[1, 0, 24, 0]);
    for field in [0, pixels, 2835, 2835, 0, 0] {
        file.extend_from_slice(&u32::to_le_bytes(field));
    }
    file.extend((0..pixels).map(|byte| (byte / 3 % 256) as u8));
    file
}

/// The backend of the demo: it calls the API as any backend would.
struct Backend {
    client: Client,
    url: String,
    key: Option<String>,
}

impl Backend {
    async fn call(&self, method: Method, path: &str, body: Option<Value>, expected: StatusCode) -> Result<Value> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let json: Value = answer.json().await?;
        if status == expected { Ok(json) } else { fail(format!("{method} {path} was answered {status}: {json}")) }
    }

    async fn media(&self, id: &str) -> Result<Value> {
        self.call(Method::GET, &format!("/v1/media/{id}"), None, StatusCode::OK).await
    }
}
