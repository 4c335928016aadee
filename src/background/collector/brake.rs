//! The brake: judges whether the due items are uploads that clients abandoned, or the sign of confirms that no longer
//! arrive.
//!
//! Item by item, a broken confirm path and a crowd of vanished clients are the same to the collector. Only the share of
//! unconfirmed items tells them apart. So before any claim the brake compares, over the minutes in which the time of
//! the items ended (that is, in which they were requested, one `grace` later), the confirmed items with those that are
//! due or were claimed already. Claimed items count too, or many small runs would do what no large run may. Released
//! items do not count: their backend has spoken about them. But while the brake is on they are not claimed either,
//! since a detached item comes back by a confirm.
//!
//! The brake judges by the stored counts per minute alone: several processes judge alike, and a restart forgets
//! nothing.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::future::try_join;
use zeroload_projections::{Minute, Unanswered};

use super::{Collector, RunError};

/// How far back the window is extended if it holds too few items to judge.
const LOOKBACK: TimeDelta = TimeDelta::days(1);

/// Requests without any confirm that count as silence.
const UNANSWERED: u64 = 100;

/// How far before `silence` the last confirm is searched for.
const SILENCE_LOOKBACK: TimeDelta = TimeDelta::days(7);

/// Minutes that one run judges: a month without a quiet minute. Items due after them wait for the next run.
const MINUTES: u32 = 50_000;

/// When the brake stops claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrakeSettings {
    /// Percent of the items whose time ended that may be unconfirmed, 1 to 100.
    pub share: u8,
    /// Unconfirmed items up to which the share is not judged.
    pub above: u64,
    /// The length of time over which the share is taken.
    pub window: TimeDelta,
    /// How long requests may go on without any confirm.
    pub silence: TimeDelta,
}

/// Why the brake is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Braked {
    /// Of the items whose time ended between two moments, too many are unconfirmed.
    Share { unconfirmed: u64, of: u64, from: DateTime<Utc>, until: DateTime<Utc>, allowed: u8 },
    /// Items are requested, and none was confirmed since.
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

/// What the brake found before a run claims anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub braked: Option<Braked>,
    /// Items due after this time were not judged.
    pub judged_until: DateTime<Utc>,
    /// Whether any item is due.
    pub due: bool,
}

impl Collector {
    /// Judges the items that are due at `now`. If none is due, this costs two short reads, which are made at once.
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
    /// Whether too many items are unconfirmed in the window up to any minute in which items are due, from that of
    /// `due_from` on: a backlog is judged by the time in which it grew, not by the present.
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
            // The window of a quiet service is extended until it holds enough items to judge, to a day at most.
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

    /// Silence takes many requests without a confirm, the first of them long ago: a quiet night is none.
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
