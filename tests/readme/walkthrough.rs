//! The commands of the README, run in their order.

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{
    document::{Block, blocks},
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

#[tokio::test]
async fn the_commands_do_what_the_page_says() {
    let place = Place::new();
    let mut shell = Shell::start(&place);
    let mut serving: Option<Serving> = None;
    let mut printed = Printed(Vec::new());
    for Block { name, text } in blocks() {
        match name {
            "serve" => {
                serving.take().into_iter().for_each(Serving::stop);
                let started = place.serve(&text);
                // On other ports than the one before; a reader's are the same.
                shell.run(&format!("api=http://{}/v1", started.api));
                serving = Some(started);
            }
            "banner" => {
                let said = &serving.as_ref().expect("a server").lines;
                assert_eq!(said.join("\n"), serving.as_ref().expect("a server").addressed(&text));
            }
            "run" => {
                let output = shell.run(&serving.as_ref().expect("a server").addressed(&text));
                printed.0.push((text, output));
            }
            "sql" => finds_something(&place, &text).await,
            _ => {}
        }
    }
    says_what_happened(&printed);
    is_true_of_the_journal(&mut shell);
    serving.expect("a server").stop();
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
    // Nine events of the three items, and two of each run that found something due: both items at once, or one each.
    let position = heads[0].split_once(':').map(|(position, _)| position);
    assert!(matches!(position, Some("11" | "13")), "{heads:?}");
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
