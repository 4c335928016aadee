//! Notes about one request. They travel in the request's extensions, so that the outermost layer learns what an inner
//! layer decided but cannot say in an S3 answer.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

#[derive(Clone)]
pub(super) struct Exchange(Arc<Slip>);

struct Slip {
    client: IpAddr,
    cut: AtomicBool,
    failure: OnceLock<String>,
}

impl Exchange {
    pub(super) fn with(client: IpAddr) -> Self {
        Self(Arc::new(Slip { client, cut: AtomicBool::new(false), failure: OnceLock::new() }))
    }

    /// The address of the client.
    pub(super) fn client(&self) -> IpAddr {
        self.0.client
    }

    /// Notes that the connection is to be closed instead of an answer.
    pub(super) fn cut(&self) {
        self.0.cut.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Relaxed)
    }

    /// Notes why the answer is a 500. The outermost layer logs it, once.
    pub(super) fn fail(&self, error: impl Display) {
        // Only the first cause counts.
        let _ = self.0.failure.set(error.to_string());
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }
}
