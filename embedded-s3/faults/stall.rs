//! A stall holds requests until a test lets them go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::{Faults, Rule};

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StallState {
    pub(super) waiting: usize,
    released: bool,
}

/// Requests wait at a stall until it is released or dropped.
#[must_use = "dropping a stall releases it"]
pub struct Stall {
    pub(super) faults: Faults,
    pub(super) state: Arc<watch::Sender<StallState>>,
}

impl Stall {
    /// Returns once `count` requests wait here (or have given up waiting here).
    pub async fn reached(&self, count: usize) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.state.subscribe().wait_for(|state| state.waiting >= count).await;
    }

    /// Lets all held requests go on, and later ones pass.
    pub fn release(self) {}
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.released = true);
        let mut rules = self.faults.rules();
        rules.retain(|rule| !matches!(rule, Rule::Stall { state, .. } if Arc::ptr_eq(state, &self.state)));
        self.faults.0.armed.store(rules.len(), Ordering::Release);
    }
}

pub(crate) struct Waiter(pub(super) watch::Receiver<StallState>);

impl Waiter {
    pub(crate) async fn released(mut self) {
        // A dropped sender means released as well.
        let _ = self.0.wait_for(|state| state.released).await;
    }
}
