//! How much may wait, and for how long.

use std::num::NonZeroUsize;
use std::time::Duration;

use zeroload_clock::Sleeper;

/// How much may wait, and how much is committed at once.
#[derive(Debug, Clone)]
pub struct Options {
    /// Appends that wait for the writer; one more is [`AppendError::QueueFull`].
    pub queue: NonZeroUsize,
    /// Events per commit.
    pub batch_events: NonZeroUsize,
    /// The first pause between two tries to find out what became of a commit; it doubles up to 64 times this.
    pub settle_pause: Duration,
    /// How long a caller waits for its answer, however long the database is away; then it gets
    /// [`AppendError::Unknown`].
    pub patience: Duration,
    /// What waits for both.
    pub sleeper: Sleeper,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: NonZeroUsize::new(4096).expect("4096 is not 0"),
            batch_events: NonZeroUsize::new(256).expect("256 is not 0"),
            settle_pause: Duration::from_millis(20),
            patience: Duration::from_secs(10),
            sleeper: Sleeper::system(),
        }
    }
}
