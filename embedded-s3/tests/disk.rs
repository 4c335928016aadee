//! A disk that refuses writes for a while. The server is restarted only where a test says so.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _, SqliteConnection};

use super::*;

/// RAISE(ROLLBACK) ends the transaction as SQLite does by itself on a full disk.
const ROLLBACK: &str = "CREATE TRIGGER refuse_put BEFORE INSERT ON objects BEGIN SELECT RAISE(ROLLBACK, 'no'); END;
    CREATE TRIGGER refuse_delete BEFORE DELETE ON objects BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
const NO_ROLLBACK: &str = "DROP TRIGGER refuse_put; DROP TRIGGER refuse_delete";
/// A deferred constraint: only COMMIT finds out that a bucket is missing.
const NO_COMMIT: &str = "CREATE TABLE late (bucket TEXT REFERENCES buckets (name) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER late BEFORE INSERT ON objects BEGIN INSERT INTO late VALUES ('nowhere'); END";

async fn index(server: &Server) -> SqliteConnection {
    SqliteConnectOptions::new().filename(server.dir.join("index.sqlite")).connect().await.expect("the index")
}

async fn try_put(client: &Client, key: &str, body: &[u8]) -> (u16, String) {
    refusal(client.put_object().bucket(BUCKET).key(key).body(body.to_vec().into()).send().await)
}

async fn try_delete(client: &Client, key: &str) -> (u16, String) {
    refusal(client.delete_object().bucket(BUCKET).key(key).send().await)
}

async fn delete(client: &Client, key: &str) {
    client.delete_object().bucket(BUCKET).key(key).send().await.expect("delete");
}

#[cfg(target_os = "linux")]
mod full {
    use tokio::process::Command;

    use super::super::crash::{Spawned, credentials, spawn};
    use super::*;

    /// Limits the size of the child's files: "unlimited", or bytes.
    async fn limit(spawned: &Spawned, size: &str) {
        let pid = spawned.child.id().expect("it runs").to_string();
        let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}:")]).status().await;
        assert!(limited.expect("prlimit of util-linux").success());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_refuses_writes_and_takes_them_again_once_there_is_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let (access_key, secret_key) = credentials(dir.path()).await;
        let mut program = Command::new("sh");
        // With the signal ignored, a file that would grow beyond its limit is an error like a full disk.
        program.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().expect("this program"));
        let mut spawned = spawn(program, dir.path()).await;
        let client = client(&spawned.url, &access_key, &secret_key, RequestChecksumCalculation::WhenRequired);
        let files = || count(&dir.path().join("s3/blobs")) + count(&dir.path().join("s3/tmp"));
        // Files of deleted objects are removed after the answer.
        let settled = async |wanted: usize| {
            while files() != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let log = dir.path().join("s3/index.sqlite-wal");

        put(&client, "old", b"first").await;
        // Room for nothing, for a part of a frame, and for one frame and a part of the next.
        for room in [0, 100, 4120 + 100] {
            put(&client, "gone", b"soon").await;
            let old = get(&client, "old").await.expect("it is there");
            let size = std::fs::metadata(&log).expect("the log").len();
            limit(&spawned, &(size + room).to_string()).await;
            for _ in 0..2 {
                assert_eq!(try_put(&client, "old", b"never").await, refused(500, "InternalError"));
                assert_eq!(try_put(&client, "new", b"never").await, refused(500, "InternalError"));
                assert_eq!(try_delete(&client, "gone").await, refused(500, "InternalError"));
            }
            assert_eq!(files(), 2, "a refused put left its file, or a refused delete took one");
            assert_eq!(get(&client, "old").await.as_ref(), Some(&old));
            assert_eq!(get(&client, "gone").await.as_deref(), Some(&b"soon"[..]));
            assert_eq!(get(&client, "new").await, None);

            limit(&spawned, "unlimited").await;
            let newer = [&old[..], b", longer"].concat();
            put(&client, "old", &newer).await;
            put(&client, "new", b"now").await;
            delete(&client, "gone").await;
            settled(2).await;
            assert_eq!(get(&client, "old").await, Some(newer));
            assert_eq!(get(&client, "gone").await, None);
            delete(&client, "new").await;
            settled(1).await;
        }

        spawned.child.kill().await.expect("kill");
        let server = Server::start(dir.path()).await;
        assert_eq!(
            get(&server.client(), "old").await.as_deref(),
            Some(&b"first, longer, longer, longer"[..]),
            "what was acknowledged after the disk was full is not on disk"
        );
        assert_eq!(server.files().await, 1);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_moved_away_takes_no_writes_until_it_is_back() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"old").await;
    let (path, aside) = (server.dir.join("index.sqlite"), server.dir.join("aside"));
    for _ in 0..2 {
        std::fs::rename(&path, &aside).expect("moved");
        assert_eq!(try_put(&client, "k", b"never").await, refused(500, "InternalError"));
        std::fs::copy(&aside, &path).expect("copied");
        assert_eq!(try_delete(&client, "k").await, refused(500, "InternalError"));
        assert_eq!(server.files().await, 1);
        std::fs::rename(&aside, &path).expect("moved back");
        put(&client, "k", b"new").await;
    }
    assert_eq!(get(&client, "k").await.as_deref(), Some(&b"new"[..]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_sqlite_has_ended_is_refused_once_and_the_next_succeeds() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"old").await;
    let mut index = index(&server).await;
    for _ in 0..2 {
        index.execute(ROLLBACK).await.expect("triggers");
        assert_eq!(try_put(&client, "k", b"never").await, refused(500, "InternalError"));
        assert_eq!(try_delete(&client, "k").await, refused(500, "InternalError"));
        assert_eq!(server.files().await, 1);
        assert_eq!(get(&client, "k").await.as_deref(), Some(&b"old"[..]));

        index.execute(NO_ROLLBACK).await.expect("no triggers");
        put(&client, "k", b"new").await;
        assert_eq!(get(&client, "k").await.as_deref(), Some(&b"new"[..]));
        delete(&client, "k").await;
        assert_eq!(server.files().await, 0);
        put(&client, "k", b"old").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_put_with_an_unknown_outcome_stays_until_a_later_write_settles_it() {
    let (_dir, server) = server().await;
    let client = server.client();
    let mut index = index(&server).await;
    index.execute(NO_COMMIT).await.expect("a trigger");
    assert_eq!(try_put(&client, "k", b"perhaps").await, refused(500, "InternalError"));
    assert_eq!(server.files().await, 1);
    // The transaction turns out to have been committed: this row is the one that it would have left.
    index.execute("DROP TRIGGER late").await.expect("no trigger");
    let name = only_file(&server.dir.join("blobs"));
    sqlx::query("INSERT INTO objects VALUES (?, CAST('k' AS BLOB), ?, 7, 'e', 's', 0, '{}')")
        .bind(BUCKET)
        .bind(name)
        .execute(&mut index)
        .await
        .expect("a row");
    index
        .execute("CREATE TRIGGER late BEFORE INSERT ON objects BEGIN INSERT INTO late VALUES ('nowhere'); END")
        .await
        .expect("a trigger");
    assert_eq!(try_put(&client, "other", b"perhaps").await, refused(500, "InternalError"));
    assert_eq!(server.files().await, 2);
    index.execute("DROP TRIGGER late").await.expect("no trigger");

    // This write changes nothing, so it does not settle the doubtful file.
    delete(&client, "nothing").await;
    assert_eq!(server.files().await, 2);
    put(&client, "third", b"now").await;
    assert_eq!(server.files().await, 2, "the file without a row is gone");
    assert_eq!(get(&client, "k").await.as_deref(), Some(&b"perhaps"[..]));
    assert_eq!(get(&client, "other").await, None);
    assert_eq!(get(&client, "third").await.as_deref(), Some(&b"now"[..]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_the_index_is_one_file_even_if_the_last_write_failed() {
    let (_dir, server) = server().await;
    put(&server.client(), "k", b"hello").await;
    // This connection stays open beyond the stop, so that closing alone does not fold the log.
    let mut index = index(&server).await;
    index.execute(ROLLBACK).await.expect("triggers");
    assert_eq!(try_put(&server.client(), "k", b"never").await, refused(500, "InternalError"));
    let log = server.dir.join("index.sqlite-wal");
    assert_ne!(std::fs::metadata(&log).expect("the log").len(), 0);
    server.stop().await;
    assert_eq!(std::fs::metadata(&log).expect("the log").len(), 0);
}

/// A file as a row names it.
fn only_file(blobs: &Path) -> String {
    let files = std::fs::read_dir(blobs).expect("shards").flat_map(|shard| {
        let shard = shard.expect("a shard").path();
        std::fs::read_dir(shard).expect("files").map(|file| file.expect("a file").path())
    });
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 1);
    files[0].strip_prefix(blobs).expect("below it").to_str().expect("text").to_owned()
}
