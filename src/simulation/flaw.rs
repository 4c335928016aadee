//! Deliberate mistakes: each breaks a promise, and the checks must say so.

/// What is built wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The journal takes an append whatever its stream holds by then.
    AppendsBlindly,
    /// The journal answers before the events are safe, and loses some.
    ForgetsCommits,
    /// A collector that deletes first and claims after.
    DeletesBeforeClaim,
    /// A collector that takes every answer to a delete for a proof.
    BelievesAnyAnswer,
    /// A projector that takes some events for others.
    MisreadsEvents,
}
