//! What caused an error of somebody else's code.

use std::error::Error;

/// The causes of `error`, from the nearest to the innermost.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// The innermost of `error` and its causes that is a `T`.
pub fn innermost<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    std::iter::once(error).chain(causes(error)).filter_map(|error| error.downcast_ref()).last()
}

/// An error with what caused it. Some messages name their cause themselves; it is not repeated.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).fold(error.to_string(), |message, cause| {
        if message.contains(&cause) { message } else { format!("{message}: {cause}") }
    })
}
