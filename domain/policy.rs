//! The durations from which every deadline is computed, checked against each other.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::values::ByteSize;

/// A setting that cannot be: its name and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} must be {allowed}")]
pub struct PolicyError {
    pub setting: &'static str,
    pub allowed: String,
}

/// S3's limit for the life of a presigned URL, in seconds (S3 user guide, "Download and upload objects with presigned URLs").
pub const MAX_TICKET_TTL_SECONDS: i64 = 7 * 24 * 3600;

/// S3's limit for an object written by one PUT, in bytes.
pub const MAX_SINGLE_PUT: u64 = 5 * 1024 * 1024 * 1024;

/// Renewals of an item's ticket at most, since each is an event that every later decision on the item reads. A client that
/// renews a ticket of 5 minutes at its very end goes on so for more than a day.
pub const MAX_RENEWALS: u32 = 300;

/// Objects that are recorded for an unconfirmed item at most, one after the other: where a server lets a ticket overwrite,
/// its holder decides how often.
pub const MAX_UPLOADS: u32 = 300;

/// The longest time in the trash, in days.
const MAX_TRASH_DAYS: i64 = 3650;

/// Checked durations and limits. Deadlines are computed once, from the policy of that moment, and stored: a changed
/// policy never moves a deadline that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    ticket_ttl: TimeDelta,
    grace: TimeDelta,
    max_pending: TimeDelta,
    late_write_margin: TimeDelta,
    max_content_length: ByteSize,
    /// Zero where nothing is kept.
    trash: TimeDelta,
}

impl Policy {
    /// # Errors
    /// [`PolicyError`] names the first setting that is out of its bounds.
    pub fn new(
        ticket_ttl: TimeDelta,
        grace: TimeDelta,
        max_pending: TimeDelta,
        late_write_margin: TimeDelta,
        max_content_length: ByteSize,
    ) -> Result<Self, PolicyError> {
        // Far beyond use, and small enough that adding it to any date cannot overflow.
        let ceiling = TimeDelta::days(36_500);
        let check = |holds: bool, setting, allowed: &str| {
            if holds { Ok(()) } else { Err(PolicyError { setting, allowed: allowed.to_owned() }) }
        };
        check(
            ticket_ttl >= TimeDelta::seconds(1) && ticket_ttl <= TimeDelta::seconds(MAX_TICKET_TTL_SECONDS),
            "ticket_ttl",
            "1s to 7d",
        )?;
        check(grace > ticket_ttl && grace <= ceiling, "grace", "longer than ticket_ttl, at most 36500d")?;
        check(max_pending >= TimeDelta::zero() && max_pending <= ceiling, "max_pending", "0s to 36500d")?;
        check(
            late_write_margin >= TimeDelta::zero() && late_write_margin <= ceiling,
            "late_write_margin",
            "0s to 36500d",
        )?;
        check(
            (1..=MAX_SINGLE_PUT).contains(&max_content_length.bytes()),
            "max_content_length",
            "1 to 5368709120 bytes (5 GiB)",
        )?;
        let trash = TimeDelta::zero();
        Ok(Self { ticket_ttl, grace, max_pending, late_write_margin, max_content_length, trash })
    }

    /// Keeps what is collected in the trash for so long; zero deletes it.
    ///
    /// # Errors
    /// [`PolicyError`] if it is out of its bounds.
    pub fn with_trash(self, trash: TimeDelta) -> Result<Self, PolicyError> {
        if trash < TimeDelta::zero() || trash > TimeDelta::days(MAX_TRASH_DAYS) {
            return Err(PolicyError { setting: "trash", allowed: format!("0s to {MAX_TRASH_DAYS}d") });
        }
        Ok(Self { trash, ..self })
    }

    pub fn max_content_length(&self) -> ByteSize {
        self.max_content_length
    }

    pub fn ticket_ttl(&self) -> TimeDelta {
        self.ticket_ttl
    }

    pub fn late_write_margin(&self) -> TimeDelta {
        self.late_write_margin
    }

    /// When a ticket that is issued now ends: a whole second, so that a URL, whose times are whole seconds too, can end exactly then.
    pub(crate) fn ticket_expiry(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let second = TimeDelta::seconds(1);
        let whole = now.duration_trunc(second).unwrap_or(now);
        let start = if whole < now { whole + second } else { now };
        start + self.ticket_ttl.max(second)
    }

    pub(crate) fn confirm_by(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.grace
    }

    /// No PUT that began with a ticket ending then is expected to land after this.
    pub(crate) fn safe_end(&self, latest_ticket_expiry: DateTime<Utc>) -> DateTime<Utc> {
        latest_ticket_expiry + self.late_write_margin
    }

    /// Whether what is collected goes into the trash.
    pub fn keeps_trash(&self) -> bool {
        self.trash > TimeDelta::zero()
    }

    /// Until when the trash keeps what is put into it now; nothing where there is no trash.
    pub(crate) fn trash_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.keeps_trash().then(|| now + self.trash)
    }

    pub(crate) fn may_renew(&self, requested_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now <= requested_at + self.max_pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(ttl: i64, grace: i64, max_pending: i64, margin: i64, length: u64) -> Result<Policy, &'static str> {
        let seconds = TimeDelta::seconds;
        Policy::new(seconds(ttl), seconds(grace), seconds(max_pending), seconds(margin), ByteSize::new(length))
            .map_err(|e| e.setting)
    }

    #[test]
    fn bounds_are_checked_and_the_setting_is_named() {
        assert!(policy(300, 86_400, 604_800, 900, MAX_SINGLE_PUT).is_ok());
        assert_eq!(policy(0, 10, 10, 0, 1), Err("ticket_ttl"));
        assert_eq!(policy(MAX_TICKET_TTL_SECONDS + 1, 10_000_000, 10, 0, 1), Err("ticket_ttl"));
        assert_eq!(policy(10, 10, 10, 0, 1), Err("grace"));
        assert_eq!(policy(10, 20, -1, 0, 1), Err("max_pending"));
        assert_eq!(policy(10, 20, 0, -1, 1), Err("late_write_margin"));
        assert_eq!(policy(10, 20, 0, 0, 0), Err("max_content_length"));
        assert_eq!(policy(10, 20, 0, 0, MAX_SINGLE_PUT + 1), Err("max_content_length"));
    }

    #[test]
    fn a_ticket_lives_at_least_its_ttl_and_ends_on_a_whole_second() {
        let policy = policy(5, 20, 0, 0, 1).unwrap();
        let now = DateTime::from_timestamp(100, 250_000_000).unwrap();
        assert_eq!(policy.ticket_expiry(now), DateTime::from_timestamp(106, 0).unwrap());
        let whole = DateTime::from_timestamp(100, 0).unwrap();
        assert_eq!(policy.ticket_expiry(whole), DateTime::from_timestamp(105, 0).unwrap());
    }
}
