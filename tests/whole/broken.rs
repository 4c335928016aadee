//! A part that has ended by itself ends the process, so that whoever supervises it starts it again.

use zeroload::{
    app::{Core, Server},
    settings::{RawSettings, Settings},
};
use zeroload_clock::{Clock, Ids};
use zeroload_journal::{
    self as journal, Append, AppendError, Found, NewEvent, Options, Outcome, Prepared, StoreError, StreamKind,
    WriteError, WriteStore, WriterThread,
};

/// Has a bug.
struct Panics;

impl WriteStore for Panics {
    async fn append(&mut self, _batch: &[Prepared]) -> Result<Outcome, WriteError> {
        panic!("as a bug would");
    }

    async fn find(&mut self, _after: u64, _batch: &[Prepared]) -> Result<Vec<Found>, StoreError> {
        Ok(Vec::new())
    }

    async fn close(self) {}
}

#[test]
fn a_server_whose_journal_writer_has_panicked_says_that_it_is_broken() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let raw = RawSettings {
        data_dir: Some(dir.path().join("data").display().to_string()),
        listen: Some("127.0.0.1:0".to_owned()),
        embedded_s3_listen: Some("127.0.0.1:0".to_owned()),
        collect_every: Some("1h".to_owned()),
        ..RawSettings::default()
    };
    let settings = Settings::try_from(raw).expect("settings");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut core = runtime.block_on(Core::open(&settings, Clock::system(), Ids::from_os())).expect("it opens");
    let (reader, thread) = (core.journal.reader().clone(), WriterThread::start().expect("a thread"));
    let started = runtime.block_on(journal::start(Panics, reader, Options::default(), thread));
    let (broken, _writer) = started.expect("it has a head");
    core.journal = broken.clone();
    let handle = runtime.handle().clone();
    actix_web::rt::System::new().block_on(async move {
        let mut server = Server::start(core, &settings, handle).expect("it serves");
        let id = Ids::from_os().new_id(Clock::system().now());
        let append = Append {
            kind: StreamKind::Media,
            stream: id,
            expected_sequence: 0,
            events: vec![NewEvent { event_type: "T", event_version: "1.0", payload: "{}".to_owned() }],
            metadata: "{}".to_owned(),
            tenant: "t".to_owned(),
            command_id: id,
        };
        assert!(matches!(broken.append(append).await, Err(AppendError::Unknown { .. })));
        let error = server.broken().await;
        assert!(error.to_string().contains("journal's writer"), "{error}");
        server.stop().await;
    });
}
