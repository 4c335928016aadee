//! Limits how long a call waits for the S3 server. A server that accepts connections and never answers would otherwise
//! hold each call for as long as the S3 client tries: twice for each request.

use std::{pin::pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, Shared, select},
};
use zeroload_clock::Sleeper;

use crate::media::ServiceError;

/// The time that all requests of one call to the S3 server share. It begins with the first request.
#[derive(Clone)]
pub struct Allowance {
    end: Shared<BoxFuture<'static, ()>>,
    limit: Duration,
}

impl Allowance {
    pub(super) fn new(limit: Duration, sleeper: &Sleeper) -> Self {
        let sleeper = sleeper.clone();
        let end = async move { sleeper.sleep(limit).await };
        Self { end: end.boxed().shared(), limit }
    }

    /// Runs `work`, or drops it when the time is over. A request that was sent by then may still take effect at the
    /// server.
    ///
    /// # Errors
    /// [`ServiceError::Storage`] when the time is over.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, ServiceError> {
        // After the end `work` is not begun: it could only be dropped.
        if self.end.peek().is_none()
            && let Either::Left((done, _)) = select(pin!(work), self.end.clone()).await
        {
            return Ok(done);
        }
        let seconds = self.limit.as_secs_f32();
        Err(ServiceError::Storage(format!("the S3 server gave no answer within {seconds} s (s3_timeout)")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn all_that_a_call_asks_shares_one_time() {
        let over = Arc::new(Notify::new());
        let sleeps = Arc::new(AtomicUsize::new(0));
        let sleeper = Sleeper::driven({
            let (over, sleeps) = (over.clone(), sleeps.clone());
            move |_| {
                sleeps.fetch_add(1, Ordering::Relaxed);
                let over = over.clone();
                Box::pin(async move { over.notified().await })
            }
        });
        let allowance = Allowance::new(Duration::from_millis(2500), &sleeper);
        assert_eq!(allowance.within(async { 7 }).await.expect("there is time"), 7);
        over.notify_one();
        let late = allowance.within(future::pending::<()>()).await.expect_err("nothing came");
        assert!(late.to_string().contains("within 2.5 s"), "{late}");
        let begun = AtomicUsize::new(0);
        let work = async { begun.fetch_add(1, Ordering::Relaxed) };
        allowance.within(work).await.expect_err("the time is over");
        assert_eq!((begun.into_inner(), sleeps.load(Ordering::Relaxed)), (0, 1));
    }
}
