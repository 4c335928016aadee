//! Whether the clock can be believed before something is decided by it that cannot be taken back.
//!
//! Guards P-1 and the promise of `confirm_by`: a clock that jumps ahead makes everything due at once. Where the database is on
//! the same machine, the earlier of its clock and ours is one clock. So two others are asked: the time that has passed since the
//! last look, which nobody can set, and the `Date` of S3's answers.
//!
//! A clock that jumped is believed again when it is back, or when it has gone on evenly, and beside S3's, for so long that it
//! was set rather than astray for a moment. A clock that was wrong at the start, with an S3 server on the same machine, shows in
//! neither.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::Clock;

/// How far two clocks may be apart. `Date` has whole seconds, and an answer takes its time.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// How long a clock that was set has to go on evenly.
pub const SETTLES: Duration = Duration::from_secs(3600);

/// Why the clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error(
        "the clock of this machine has jumped by {} s; nothing is claimed until it is back, or has gone on evenly for an hour: \
         see that it is right",
        .by.num_seconds()
    )]
    Jumped { by: TimeDelta },
    #[error(
        "the clock of this machine and that of the S3 server are {} s apart; nothing is claimed until they agree: set the one \
         that is wrong",
        .by.num_seconds()
    )]
    Apart { by: TimeDelta },
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: DateTime<Utc>,
    steady: Duration,
}

impl Moment {
    pub fn of(clock: &Clock) -> Self {
        Self { now: clock.now(), steady: clock.steady() }
    }

    /// How long ago it was, by the clock that cannot be set.
    pub fn ago(&self, clock: &Clock) -> TimeDelta {
        TimeDelta::from_std(clock.steady().saturating_sub(self.steady)).unwrap_or_default()
    }

    /// By how much the clock has jumped since.
    fn jump_to(&self, later: Self) -> TimeDelta {
        let passed = later.steady.saturating_sub(self.steady);
        (later.now - self.now) - TimeDelta::from_std(passed).unwrap_or_default()
    }
}

/// Compares the clock, look by look.
pub struct ClockWatch(Mutex<Seen>);

struct Seen {
    /// When it was last believed.
    believed: Moment,
    /// Since when it goes on evenly elsewhere.
    elsewhere: Option<Moment>,
}

impl ClockWatch {
    /// From `now` on: what it is at the start is believed.
    pub fn new(now: Moment) -> Self {
        Self(Mutex::new(Seen { believed: now, elsewhere: None }))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the clock is believed at this moment. `apart` is how far S3's was ahead of it, where S3 told.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn believe(&self, now: Moment, apart: Option<TimeDelta>) -> Result<(), Distrust> {
        let agree = |span: TimeDelta| span.abs() <= TOLERANCE;
        let mut seen = self.seen();
        let by = seen.believed.jump_to(now);
        if agree(by) {
            (seen.believed, seen.elsewhere) = (now, None);
        } else {
            let since = seen.elsewhere.filter(|since| agree(since.jump_to(now))).unwrap_or(now);
            seen.elsewhere = Some(since);
            if now.steady.saturating_sub(since.steady) < SETTLES || !apart.is_none_or(agree) {
                return Err(Distrust::Jumped { by });
            }
            tracing::warn!(jump_seconds = by.num_seconds(), "the clock was set, and is believed again");
            (seen.believed, seen.elsewhere) = (now, None);
        }
        match apart.filter(|apart| !agree(*apart)) {
            Some(by) => Err(Distrust::Apart { by }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ahead` seconds before true time, `passed` seconds after the start.
    fn moment(passed: i64, ahead: i64) -> Moment {
        let start = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        Moment { now: start + TimeDelta::seconds(passed + ahead), steady: Duration::from_secs(passed.unsigned_abs()) }
    }

    fn watch() -> ClockWatch {
        ClockWatch::new(moment(0, 0))
    }

    fn jumped(seconds: i64) -> Result<(), Distrust> {
        Err(Distrust::Jumped { by: TimeDelta::seconds(seconds) })
    }

    const HOUR: i64 = 3600;

    #[test]
    fn a_clock_that_jumps_is_not_believed_until_it_is_back() {
        for by in [25 * HOUR, -25 * HOUR, 61, -61] {
            let watch = watch();
            assert_eq!(watch.believe(moment(60, 0), None), Ok(()));
            assert_eq!(watch.believe(moment(62, by), None), jumped(by));
            assert_eq!(watch.believe(moment(66, 0), None), Ok(()));
        }
    }

    #[test]
    fn a_clock_that_is_corrected_by_a_little_is_believed() {
        let watch = watch();
        for (look, ahead) in [(60, 60), (120, 100), (180, 45)] {
            assert_eq!(watch.believe(moment(look, ahead), None), Ok(()), "{ahead}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_when_it_has_gone_on_evenly_for_an_hour() {
        let watch = watch();
        assert_eq!(watch.believe(moment(60, HOUR), None), jumped(HOUR));
        assert_eq!(watch.believe(moment(60 + HOUR - 1, HOUR), None), jumped(HOUR));
        assert_eq!(watch.believe(moment(60 + HOUR, HOUR), None), Ok(()));
        assert_eq!(watch.believe(moment(61 + HOUR, HOUR), None), Ok(()));
        assert_eq!(watch.believe(moment(62 + HOUR, 0), None), jumped(-HOUR), "and now that is where it was");
    }

    #[test]
    fn a_clock_that_jumps_again_and_again_does_not_go_on_evenly() {
        let watch = watch();
        for number in 1..10 {
            assert_eq!(watch.believe(moment(number * HOUR, number * HOUR), None), jumped(number * HOUR));
        }
    }

    #[test]
    fn a_clock_that_differs_from_that_of_s3_is_not_believed_however_evenly_it_goes() {
        let watch = watch();
        let apart = |seconds| Some(TimeDelta::seconds(seconds));
        assert_eq!(watch.believe(moment(60, 0), apart(60)), Ok(()));
        assert_eq!(watch.believe(moment(120, 0), apart(61)), Err(Distrust::Apart { by: TimeDelta::seconds(61) }));
        assert_eq!(watch.believe(moment(180, 0), apart(-HOUR)), Err(Distrust::Apart { by: TimeDelta::seconds(-HOUR) }));
        assert_eq!(watch.believe(moment(240, 0), apart(0)), Ok(()));

        assert_eq!(watch.believe(moment(300, HOUR), apart(-HOUR)), jumped(HOUR));
        assert_eq!(watch.believe(moment(300 + 2 * HOUR, HOUR), apart(-HOUR)), jumped(HOUR));
        assert_eq!(watch.believe(moment(301 + 2 * HOUR, HOUR), apart(0)), Ok(()), "S3's was the wrong one");
    }
}
