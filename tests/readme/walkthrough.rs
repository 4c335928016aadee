//! The commands of the pages, run in their order.

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{
    document::{Block, Page, page, pages},
    place::{Place, Serving},
    shell::Shell,
};

/// What the blocks have printed.
struct Printed(Vec<(String, String)>);

impl Printed {
    /// By the one block that holds `command`.
    #[track_caller]
    fn text(&self, command: &str) -> &str {
        let printed: Vec<_> = self.0.iter().filter(|(block, _)| block.contains(command)).collect();
        assert_eq!(printed.len(), 1, "{command} must be in exactly one block");
        &printed[0].1
    }

    #[track_caller]
    fn json(&self, command: &str) -> Value {
        serde_json::from_str(self.text(command)).expect("JSON")
    }

    #[track_caller]
    fn lines(&self, command: &str) -> Vec<&str> {
        self.text(command).lines().collect()
    }
}

/// What is run by pages that belong together.
struct Walk<'a> {
    place: &'a Place,
    shell: Shell<'a>,
    serving: Option<Serving>,
    printed: Printed,
}

impl<'a> Walk<'a> {
    fn new(place: &'a Place) -> Self {
        Self { place, shell: Shell::start(place), serving: None, printed: Printed(Vec::new()) }
    }

    async fn through(&mut self, path: &str) {
        for Block { name, text } in page(path).blocks() {
            match name.as_str() {
                "serve" => {
                    self.serving.take().into_iter().for_each(Serving::stop);
                    let started = self.place.serve(&text);
                    // On other ports than the one before; a reader's are the same.
                    self.shell.run(&format!("api=http://{}/v1", started.api));
                    self.serving = Some(started);
                }
                "banner" => {
                    let serving = self.serving();
                    assert_eq!(serving.lines.join("\n"), serving.addressed(&text));
                }
                "run" => {
                    let commands = self.serving().addressed(&text);
                    let output = self.shell.run(&commands);
                    self.printed.0.push((text, output));
                }
                "sql" => finds_something(self.place, &text).await,
                _ => {}
            }
        }
    }

    fn serving(&self) -> &Serving {
        self.serving.as_ref().expect("a server")
    }

    fn end(self) {
        self.serving.expect("a server").stop();
    }
}

/// The pages whose commands go on with what those of the page before have left.
const TUTORIAL: [&str; 3] = ["docs/tutorial.md", "docs/http.md", "docs/history.md"];

#[tokio::test]
async fn the_commands_of_the_readme_confirm_one_upload_and_collect_another() {
    let place = Place::new();
    let mut walk = Walk::new(&place);
    walk.through("README.md").await;
    let confirmed = walk.printed.json("post-1");
    assert_eq!((&confirmed["state"], &confirmed["attached_to"]), (&json!("confirmed"), &json!("post-1")));
    let said = walk.printed.lines("the first one is");
    let ends: Vec<&str> =
        said.iter().map(|line| line.split_once('\t').map_or(*line, |(_, rest)| rest.trim_end())).collect();
    let ends: Vec<&str> = ends.into_iter().filter(|event| *event != "Uploaded").collect();
    assert_eq!(ends, ["MediaRequested", "CollectionStarted", "Collected\tdeleted", "the first one is confirmed"]);
    walk.end();
}

#[tokio::test]
async fn the_commands_of_the_tutorial_do_what_the_pages_say() {
    let place = Place::new();
    let mut walk = Walk::new(&place);
    for path in TUTORIAL {
        walk.through(path).await;
    }
    says_what_happened(&walk.printed);
    is_true_of_the_journal(&mut walk.shell);
    walk.end();
}

#[test]
fn every_command_that_is_marked_is_run() {
    let walked = |page: &Page| page.path == "README.md" || TUTORIAL.contains(&page.path.as_str());
    for page in pages().iter().filter(|page| !walked(page)) {
        let marked = page.blocks().into_iter().find(|block| ["serve", "run", "sql", "banner"].contains(&&*block.name));
        assert!(marked.is_none(), "{} is in no walk, and its commands are marked", page.path);
    }
}

fn says_what_happened(printed: &Printed) {
    let ticket = printed.json("media=$(ticket)\njq");
    assert_eq!((&ticket["state"], &ticket["upload"]["method"]), (&json!("pending"), &json!("PUT")), "{ticket}");
    let confirmed = printed.json("post-1");
    assert_eq!((&confirmed["state"], &confirmed["attached_to"]), (&json!("confirmed"), &json!("post-1")));
    let history: Vec<&str> = printed.text("call \"$api/media/$photo/events\"").split_whitespace().collect();
    let [state, _, _, first, _, _, second, _, _, third] = history[..] else { panic!("{history:?}") };
    assert_eq!([state, first, second, third], ["confirmed", "MediaRequested", "Uploaded", "Confirmed"]);
    assert_eq!(printed.text("echo \"the same bytes\""), "the same bytes");

    assert!(printed.text("|| echo").contains("<Code>PreconditionFailed</Code>"), "a repeat is a 412");
    assert_eq!(printed.text("echo \"the same item\""), "the same item");
    assert_eq!(printed.lines("call -X DELETE"), ["released", "cancelled"]);
    assert_eq!(printed.lines("/explain\"")[0], "waiting");

    assert_eq!(printed.lines("until [")[0], "pending, pending");
    let ends = printed.lines("for id in \"$vanished\"").into_iter();
    let ends: Vec<&str> = ends.map(|line| line.split_once('\t').expect("a position").1.trim_end()).collect();
    let vanished = ["MediaRequested", "CollectionStarted\tpresent", "Collected\tdeleted"];
    let never = ["MediaRequested", "CollectionStarted\tabsent", "Collected\tabsent"];
    assert_eq!(ends, [vanished, never].concat());
    assert_eq!(printed.lines("state \"$photo\""), ["gone", "confirmed", "still the same bytes"]);
    assert_eq!(printed.lines("Authorization: Bearer $key\""), ["unauthorized", "not-found"]);

    let heads = printed.lines("head=$(cargo");
    assert!(heads.len() == 2 && heads[0] == heads[1], "{heads:?}");
    // Eleven events of the four items, and two of each run that found something due: both items at once, or one each.
    let position = heads[0].split_once(':').map(|(position, _)| position);
    assert!(matches!(position, Some("13" | "15")), "{heads:?}");
    let replayed = printed.text("replay --state");
    let shown = |event: &str| replayed.lines().any(|line| line.starts_with(event));
    assert_eq!(
        [2, 3, 4, 5].map(|at| shown(&format!("{{\"position\":{at},"))),
        [false, true, true, false],
        "{replayed}"
    );
    assert!(replayed.contains("\"state\":\"confirmed\""), "{replayed}");
}

/// The events of each item that the commands have made, with what was seen and how it ended.
fn is_true_of_the_journal(shell: &mut Shell<'_>) {
    let mut lives = |item: &str| -> Vec<String> {
        let events = shell.run(&format!("cargo run -- replay --json --media \"${item}\""));
        let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let text = |event: &Value| {
            let payload = &event["payload"];
            let shown = [&event["type"], &payload["seen"]["state"], &payload["outcome"]];
            shown.iter().filter_map(|value| value.as_str()).collect::<Vec<_>>().join(" ")
        };
        events.map(|event| text(&event)).collect()
    };
    assert_eq!(lives("photo"), ["MediaRequested", "Uploaded", "Confirmed"]);
    assert_eq!(lives("vanished"), ["MediaRequested", "CollectionStarted present", "Collected deleted"]);
    assert_eq!(lives("never"), ["MediaRequested", "CollectionStarted absent", "Collected absent"]);
}

async fn finds_something(place: &Place, query: &str) {
    let file = place.work().join("zeroload-data/journal-projections.db");
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await.expect("the read models open");
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    assert!(!rows.is_empty(), "{query} has found nothing");
    connection.close().await.expect("closed");
}
