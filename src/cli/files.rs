//! How many files the process may have open.

/// Raises the soft limit to the hard one: connections and uploads are files, and the usual soft limit of 1,024 is there for
/// programs that cannot count further.
pub(super) fn raise_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
