use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_credential_types::provider::future::ProvideCredentials as Answer;
use tokio::sync::Semaphore;

use super::*;

/// Hands out credentials that end when `ends` says, one entry per question; fails for an entry without an end.
#[derive(Debug)]
struct Metadata {
    ends: Vec<Option<&'static str>>,
    asked: Arc<AtomicUsize>,
    /// Taken once per answer, for tests that hold an answer back.
    gate: Arc<Semaphore>,
}

impl ProvideCredentials for Metadata {
    fn provide_credentials<'a>(&'a self) -> Answer<'a>
    where
        Self: 'a,
    {
        Answer::new(async {
            let turn = self.asked.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            match self.ends.get(turn).copied().flatten() {
                Some(end) => Ok(Credentials::new(format!("KEY{turn}"), "hush", None, Some(at(end).into()), "test")),
                None => Err(CredentialsError::provider_error("away")),
            }
        })
    }
}

struct Case {
    cache: CredentialCache,
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Case {
    async fn new(ends: &[Option<&'static str>]) -> Self {
        let (asked, gate) = (Arc::default(), Arc::new(Semaphore::new(100)));
        let metadata = Metadata { ends: ends.to_vec(), asked: Arc::clone(&asked), gate: Arc::clone(&gate) };
        // The cache asks first in the evening before.
        let clock = Clock::driven(|| "2026-03-03T20:00:00Z".parse().unwrap());
        let cache = CredentialCache::start(SharedCredentialsProvider::new(metadata), clock).await.unwrap();
        Self { cache, asked, gate }
    }

    async fn key_at(&self, now: &str) -> Result<String, NoCredentials> {
        self.cache.at(at(now)).await.map(|credentials| credentials.access_key_id().to_owned())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A time of one day.
fn at(time: &str) -> DateTime<Utc> {
    format!("2026-03-04T{time}Z").parse().unwrap()
}

fn key(number: usize) -> Result<String, NoCredentials> {
    Ok(format!("KEY{number}"))
}

#[tokio::test]
async fn credentials_are_asked_for_once_until_they_near_their_end() {
    let case = Case::new(&[Some("10:00:00"), Some("12:00:00")]).await;
    for now in ["08:00:00", "09:00:00", "09:49:59"] {
        assert_eq!(case.key_at(now).await, key(0));
    }
    assert_eq!(case.asked(), 1);
    assert_eq!(case.key_at("09:50:00").await, key(1));
    assert_eq!(case.key_at("11:00:00").await, key(1));
    assert_eq!(case.asked(), 2);
}

#[tokio::test]
async fn while_no_new_ones_can_be_had_the_old_ones_serve() {
    let case = Case::new(&[Some("10:00:00"), None, Some("10:00:00"), None, Some("12:00:00")]).await;
    assert_eq!(case.key_at("09:50:00").await, key(0));
    assert_eq!(case.key_at("09:50:29").await, key(0));
    assert_eq!(case.asked(), 2);
    // The source gives the same credentials again, as a metadata service does until it has new ones.
    assert_eq!(case.key_at("09:50:30").await, key(2));
    assert_eq!(case.key_at("09:50:59").await, key(2));
    assert_eq!(case.asked(), 3);
    assert_eq!(case.key_at("10:00:00").await, Err(NoCredentials));
    assert_eq!(case.key_at("10:00:01").await, key(4));
}

#[tokio::test]
async fn one_caller_asks_and_the_others_go_on() {
    let case = Case::new(&[Some("10:00:00"), Some("12:00:00")]).await;
    case.gate.forget_permits(100);
    let both = async {
        tokio::join!(case.key_at("09:55:00"), async {
            let meanwhile = case.key_at("09:55:00").await;
            case.gate.add_permits(1);
            meanwhile
        })
    };
    assert_eq!(both.await, (key(1), key(0)));
    assert_eq!(case.asked(), 2);
}

#[tokio::test]
async fn a_caller_that_is_dropped_blocks_nobody() {
    let case = Case::new(&[Some("10:00:00"), Some("11:00:00"), Some("12:00:00")]).await;
    case.gate.forget_permits(100);
    tokio::select! {
        biased;
        _ = case.key_at("10:00:00") => panic!("the answer is held back"),
        () = std::future::ready(()) => {}
    }
    case.gate.add_permits(100);
    assert_eq!(case.key_at("10:00:01").await, key(2));
}

#[tokio::test]
async fn a_source_that_is_down_at_the_start_is_asked_again_with_longer_and_longer_pauses() {
    let case = Case::new(&[None, None, None, None, Some("12:00:00")]).await;
    assert_eq!(case.asked(), 1, "the start is not ended by it");
    for (now, asked) in [
        ("08:00:00", 2),
        ("08:00:01", 2),
        ("08:00:02", 3),
        ("08:00:05", 3),
        ("08:00:06", 4),
        ("08:00:13", 4),
        ("08:00:14", 5),
    ] {
        let key = case.key_at(now).await;
        assert_eq!((key.is_ok(), case.asked()), (asked == 5, asked), "{now}");
    }
}

#[tokio::test]
async fn any_number_of_calls_ask_a_source_that_is_down_a_few_times_in_a_minute() {
    let case = Case::new(&[]).await;
    for second in 0..60 {
        let now = at("08:00:00") + TimeDelta::seconds(second);
        for _ in 0..20 {
            assert_eq!(case.cache.at(now).await, Err(NoCredentials));
        }
    }
    assert_eq!(case.asked(), 6, "at the start, and after 0, 2, 6, 14 and 30 s");
}

#[tokio::test]
async fn what_is_wrong_with_credentials_is_said() {
    let minutes = TimeDelta::minutes;
    let report = |case: &Case, now: &str, ttl| {
        let source = CredentialSource::Cached(case.cache.clone());
        source.report(at(now), ttl)
    };
    let case = Case::new(&[None]).await;
    let (status, detail) = report(&case, "08:00:00", minutes(5));
    assert_eq!(status, Status::Failed, "{detail}");
    assert!(detail.contains("their source failed"), "{detail}");

    let case = Case::new(&[Some("10:00:00"), None]).await;
    assert_eq!(report(&case, "08:00:00", minutes(5)).0, Status::Ok);
    let (status, detail) = report(&case, "08:00:00", minutes(121));
    assert_eq!(status, Status::Degraded);
    assert!(detail.contains("tickets end before ticket_ttl is over"), "{detail}");
    case.key_at("09:50:00").await.unwrap();
    let (status, detail) = report(&case, "09:50:00", minutes(5));
    assert_eq!(status, Status::Degraded);
    assert!(detail.contains("credentials end at 2026-03-04 10:00:00 UTC, and new ones cannot be had"), "{detail}");
    let (status, detail) = report(&case, "10:00:00", minutes(5));
    assert_eq!(status, Status::Degraded, "{detail}");
    assert!(detail.starts_with("no credentials can be had"), "{detail}");

    let fixed = |token: Option<&str>| {
        let keys = Credentials::new("KEY", "hush", token.map(str::to_owned), None, "test");
        CredentialSource::Fixed(keys).report(at("08:00:00"), minutes(5)).0
    };
    assert_eq!((fixed(None), fixed(Some("T"))), (Status::Ok, Status::Degraded));
}

#[test]
fn what_is_left_out_of_the_sdk_is_named_with_what_to_do() {
    let said = |text: &str| in_words(&CredentialsError::invalid_configuration(text.to_owned()));
    let sso =
        said("ProfileFile provider could not be built: This behavior requires following cargo feature(s) enabled: sso");
    assert!(sso.contains("SSO") && sso.contains("credential_process"), "{sso}");
    assert_eq!(said("profile `x` was not defined"), "profile `x` was not defined");
}
