//! The brake: whether what is due looks like what clients abandon, or like confirms that no longer arrive.
//!
//! To the collector a broken confirm path and a crowd of vanished clients look the same, item by item. Only the share tells
//! them apart, so it is compared before anything is claimed, in the minutes in which the time of the items ended (that is,
//! in which they were requested, one `grace` later): confirmed ones against those that are due or were claimed already. What
//! has gone counts too, or many small runs would do what no large one may. Items that their backend has released do not
//! count: it has spoken about them. But none of them is claimed either while the brake is on, since what would bring a
//! detached item back is a confirm.
//!
//! All of it is read from the counts per minute, which are data: several processes judge alike, and a restart forgets nothing.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::future::try_join;
use zeroload_projections::{Minute, Unanswered};

use super::{Collector, RunError};

/// How far back minutes are taken together where the window holds too few items to judge.
const LOOKBACK: TimeDelta = TimeDelta::days(1);

/// Requests without a confirm among them that are taken for silence.
const UNANSWERED: u64 = 100;

/// How far back requests are looked at for a last confirm, before `silence`.
const SILENCE_LOOKBACK: TimeDelta = TimeDelta::days(7);

/// Minutes that are judged at once: a month without a quiet one. What is due later waits for the next run.
const MINUTES: u32 = 50_000;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrakeSettings {
    /// Percent of the items whose time ended that may be unconfirmed, 1 to 100.
    pub share: u8,
    /// Unconfirmed items up to which the share is not looked at.
    pub above: u64,
    /// The stretch of time in which the share is taken.
    pub window: TimeDelta,
    /// How long requests may go on without any confirm.
    pub silence: TimeDelta,
}

/// Why nothing is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Braked {
    /// Of the items whose time ended between two moments, too many are unconfirmed.
    Share { unconfirmed: u64, of: u64, from: DateTime<Utc>, until: DateTime<Utc>, allowed: u8 },
    /// Nothing is confirmed any more.
    Silence { requested: u64, since: DateTime<Utc> },
}

impl std::fmt::Display for Braked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match self {
            Self::Share { unconfirmed, of, from, until, allowed } => write!(
                f,
                "{unconfirmed} of {of} items whose time ended from {} to {} are not confirmed, more than {allowed} %",
                text(from),
                text(until)
            )?,
            Self::Silence { requested, since } => {
                write!(f, "nothing was confirmed since {}, and {requested} items were requested", text(since))?;
            }
        }
        f.write_str(
            "; if confirms do not arrive, mend that; if this is as it should be, POST /v1/collections with \
             {\"override_brake\": true}",
        )
    }
}

/// What was found before a run claims anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub braked: Option<Braked>,
    /// What is due later was not judged.
    pub judged_until: DateTime<Utc>,
    /// Whether anything is due at all.
    pub due: bool,
}

impl Collector {
    /// Judges what is due at `now`. Without anything due it costs two short reads at once.
    pub(super) async fn judge(&self, now: DateTime<Utc>) -> Result<Verdict, RunError> {
        let (settings, models) = (&self.options.brake, &self.handles.read_models);
        let silence_from = now - settings.silence - SILENCE_LOOKBACK;
        let (due, unanswered) = try_join(models.due(now, None, 1), models.unanswered(silence_from, now)).await?;
        let first = due.into_iter().next();
        let mut verdict = Verdict { braked: None, judged_until: now, due: first.is_some() };
        if let Some(first) = first {
            let from = first.collectable_at - settings.window.max(LOOKBACK);
            let minutes = models.activity(from, now, MINUTES).await?;
            if let Some(last) = minutes.get(MINUTES as usize - 1) {
                verdict.judged_until = end_of(last) - TimeDelta::microseconds(1);
            }
            verdict.braked = settings.judge_share(&minutes, first.collectable_at);
        }
        verdict.braked = verdict.braked.or_else(|| settings.judge_silence(unanswered, now));
        Ok(verdict)
    }
}

impl BrakeSettings {
    /// Whether up to any minute in which items are due, from that of `due_from` on, too many are unconfirmed: a backlog is
    /// judged by the time in which it grew, not by the present.
    fn judge_share(&self, minutes: &[Minute], due_from: DateTime<Utc>) -> Option<Braked> {
        let sums = |count: fn(&Minute) -> u64| -> Vec<u64> {
            let sums = minutes.iter().scan(0, |sum, minute| {
                *sum += count(minute);
                Some(*sum)
            });
            std::iter::once(0).chain(sums).collect()
        };
        let unconfirmed = sums(|minute| minute.open + minute.expired);
        let all = sums(|minute| minute.open + minute.expired + minute.kept);
        let due = minutes.iter().enumerate().filter(|(_, minute)| minute.open > 0 && end_of(minute) > due_from);
        due.into_iter().find_map(|(last, minute)| {
            let until = end_of(minute);
            let first_within = |span| minutes.partition_point(|earlier| earlier.starts_at < until - span);
            // So that a quiet service is judged at all: as many more minutes as hold enough items, a day's at most.
            let enough = unconfirmed[last + 1].saturating_sub(self.above);
            let first = first_within(self.window).min(unconfirmed.partition_point(|sum| *sum < enough).checked_sub(1)?);
            if first < first_within(self.window.max(LOOKBACK)) {
                return None;
            }
            let (count, of) = (unconfirmed[last + 1] - unconfirmed[first], all[last + 1] - all[first]);
            (count * 100 > of * u64::from(self.share)).then(|| Braked::Share {
                unconfirmed: count,
                of,
                from: minutes[first].starts_at,
                until,
                allowed: self.share,
            })
        })
    }

    /// A quiet night is no silence: it takes requests, the first of them long ago.
    fn judge_silence(&self, unanswered: Unanswered, now: DateTime<Utc>) -> Option<Braked> {
        let since = unanswered.since.filter(|since| *since + self.silence <= now)?;
        let requested = unanswered.requested;
        (requested >= UNANSWERED).then_some(Braked::Silence { requested, since })
    }
}

fn end_of(minute: &Minute) -> DateTime<Utc> {
    minute.starts_at + TimeDelta::minutes(1)
}

#[cfg(test)]
mod tests;
