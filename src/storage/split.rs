//! Deletes any number of keys, in calls of a size that the server takes, and finds the one key that makes a call fail.
//!
//! A call may be refused or fail as a whole because of one key in it. So its keys are sent again in halves, until such
//! a key is alone and holds up no other. After a few failures in a row the reason is the server, and the rest is not
//! tried.

use std::collections::{HashMap, VecDeque};

use super::{
    deletion::{Answers, Deletion, Named},
    error::{Fault, StorageError},
    gateway::Gateway,
    rate_limiter::RateLimiter,
};

/// Calls in a row that fail as a whole, after which no single key is taken for the reason.
const IN_A_ROW: usize = 8;

/// The outcome for each key.
#[derive(Debug, Default)]
pub(super) struct Deleted<'k> {
    answers: Answers,
    failed: HashMap<Named<'k>, StorageError>,
}

impl<'k> Deleted<'k> {
    pub(super) fn of(&self, key: &'k str, version: Option<&'k str>) -> Option<Deletion> {
        let failed = || self.failed.get(&(key, version)).map(|why| Deletion::Unknown { why: why.clone() });
        self.answers.of(key, version).cloned().or_else(failed)
    }

    fn fail(&mut self, part: &[Named<'k>], why: &StorageError) {
        self.failed.extend(part.iter().map(|named| (*named, why.clone())));
    }
}

impl Gateway {
    /// Deletes keys, or versions of them. `named` holds no pair twice.
    pub(super) async fn delete_all<'k>(&self, named: &[Named<'k>]) -> Deleted<'k> {
        let mut deleted = Deleted::default();
        let mut parts = VecDeque::from([named]);
        let mut failures = 0;
        while let Some(part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            if let Some((now, later)) =
                part.split_at_checked(self.keys_per_call()).filter(|(_, later)| !later.is_empty())
            {
                parts.push_front(later);
                parts.push_front(now);
                continue;
            }
            match self.delete_page(part).await {
                Ok(answers) => {
                    failures = 0;
                    self.note_answers(&answers);
                    deleted.answers.extend(answers);
                }
                Err(why) => {
                    failures += 1;
                    let may_be_one = may_be_one_key(&why) && failures < IN_A_ROW;
                    match part.split_at_checked(part.len() / 2).filter(|_| may_be_one && part.len() > 1) {
                        Some((one, other)) => parts.extend([one, other]),
                        None => deleted.fail(part, &why),
                    }
                    // Several keys that each break a call stop the halving; smaller calls let the healthy keys between
                    // them through next time.
                    if failures == IN_A_ROW && may_be_one_key(&why) {
                        self.rate_limiter().into_iter().for_each(RateLimiter::fewer_keys);
                    }
                    if !may_be_one {
                        parts.drain(..).for_each(|part| deleted.fail(part, &why));
                    }
                }
            }
        }
        deleted
    }

    fn note_answers(&self, answers: &Answers) {
        let Some(rate_limiter) = self.rate_limiter() else { return };
        if answers.ask_for_fewer() { rate_limiter.fewer_keys() } else { rate_limiter.more_keys() }
    }
}

/// Whether one key may be the reason of a failed call. Failures of the connection, the bucket or the rights concern
/// every key.
pub(super) fn may_be_one_key(why: &StorageError) -> bool {
    match why {
        StorageError::Unavailable { kind: Fault::Server | Fault::Answer, .. } => true,
        StorageError::Unavailable { kind: Fault::Refused, status, .. } => {
            !matches!(status, Some(301..=308 | 401..=404))
        }
        StorageError::Unavailable { .. } | StorageError::OtherBucket { .. } => false,
    }
}

#[cfg(test)]
mod tests;
