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
    /// A restore that removes what the trash keeps before it has copied it.
    EmptiesTrashOnRestore,
    /// A collector that puts into the trash whatever the item's key holds by then.
    KeepsWhatIsThere,
    /// A collector that goes on while the brake is on.
    OverridesBrake,
    /// A marker is written over whatever is there by then.
    MarksBlindly,
}
