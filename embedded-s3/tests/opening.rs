use std::os::unix::fs::PermissionsExt as _;

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::OpenError;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_objects_and_credentials() {
    let (dir, server) = server().await;
    let credentials = (server.store.access_key().to_owned(), server.store.secret_key().to_owned());
    assert_eq!((credentials.0.len(), credentials.1.len()), (20, 40));
    assert_eq!(mode(&server.dir), 0o700);
    assert_eq!(mode(&server.dir.join("credentials.json")), 0o600);
    put(&server.client(), "k", b"hello").await;
    server.stop().await;

    let again = Server::start(dir.path()).await;
    assert_eq!((again.store.access_key(), again.store.secret_key()), (credentials.0.as_str(), credentials.1.as_str()));
    assert_eq!(get(&again.client(), "k").await.as_deref(), Some(&b"hello"[..]));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_refused() {
    let (_dir, server) = server().await;
    let settings = Settings { dir: server.dir.clone(), bucket: BUCKET.to_owned() };
    let second = EmbeddedS3::open(settings.clone()).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    server.stop().await;
    EmbeddedS3::open(settings).await.expect("free now").close().await;
    let named = Settings { dir: PathBuf::from("/nowhere"), bucket: "No".to_owned() };
    assert!(matches!(EmbeddedS3::open(named).await, Err(OpenError::BucketName(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_swept_and_objects_stay() {
    let (dir, server) = server().await;
    put(&server.client(), "k", b"hello").await;
    let root = server.dir.clone();
    server.stop().await;
    std::fs::write(root.join("tmp").join("left"), b"half").expect("write");
    std::fs::write(root.join("blobs").join("7f").join("left"), b"whole, but without a row").expect("write");
    let again = Server::start(dir.path()).await;
    assert_eq!(again.files().await, 1);
    assert_eq!(get(&again.client(), "k").await.as_deref(), Some(&b"hello"[..]));
    again.stop().await;
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One thread, so that the log has all tasks of this test and none of another.
#[tokio::test]
async fn the_log_has_the_cause_of_a_500_once_and_never_a_url_or_a_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (_dir, server) = server().await;
    put(&server.client(), "k", b"hello").await;
    for shard in std::fs::read_dir(server.dir.join("blobs")).expect("blobs") {
        for file in std::fs::read_dir(shard.expect("a shard").path()).expect("files") {
            std::fs::remove_file(file.expect("a file").path()).expect("remove");
        }
    }
    let call = server.client().get_object().bucket(BUCKET).key("k");
    let url = call.presigned(five_minutes()).await.expect("a url");
    let before = log.0.lock().expect("the log").len();
    assert_eq!(answer(raw(&url)).await, refused(500, "InternalError"));
    let text = String::from_utf8_lossy(&log.0.lock().expect("the log")[before..]).into_owned();
    let ours: Vec<_> = text.lines().filter(|line| line.contains("embedded S3")).collect();
    assert_eq!(ours.len(), 1, "{text}");
    assert!(ours[0].contains("ERROR") && ours[0].contains("No such file"), "{}", ours[0]);
    let signature = url.uri().split("X-Amz-Signature=").nth(1).expect("a signature");
    let foreign = text.lines().filter(|line| !line.contains("reqwest") && !line.contains("hyper_util::client"));
    for line in foreign {
        assert!(!line.contains(signature) && !line.contains(server.store.secret_key()), "{line}");
    }
    server.stop().await;
}
