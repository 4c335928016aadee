//! Proof that the journal is what was written (P-5): every stored byte against the hash chain.
//!
//! It walks the commits from the first one up to a head that is taken at its start, in bounded memory, beside
//! a running writer. It names the lowest position that is wrong. What it cannot see alone is a journal whose
//! whole chain was rewritten, or cut together with its head: for that it is given a head that was kept
//! elsewhere.

use std::collections::{HashMap, HashSet};
use std::vec;

use super::hash::{CommitHasher, Hash, genesis};
use super::reader::Reader;
use super::store::ReadStore;
use super::stored::{Edges, Head, RawCommit, RawEvent, ReadError};

/// Rows per read: about half a megabyte of ordinary events.
const PAGE: u32 = 500;

/// The journal is whole up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub position: u64,
    pub hash: Hash,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// Below `position` everything is as it was written.
    #[error("the journal is broken at position {position}: {fault}")]
    Broken { position: u64, fault: Fault },
    /// Whole in itself, and not the journal that the expected head was taken from, or cut before it.
    #[error("the journal is not the expected one: at position {position} {}, expected {expected}", or_no_commit(.found))]
    NotAsExpected {
        position: u64,
        expected: Hash,
        /// `None`: no commit ends at this position.
        found: Option<Hash>,
    },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What is wrong at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("its event is missing")]
    EventMissing,
    #[error("its stored bytes do not give its leaf hash")]
    Leaf,
    #[error("its {column} is not that of its commit")]
    NotOfItsCommit { column: &'static str },
    #[error("its event type and version are not listed among those stored")]
    VersionNotListed,
    #[error("the commit that begins here is missing")]
    CommitMissing,
    #[error("the commit that begins here is not what was written")]
    Commit,
    #[error("the commit that begins here was recorded before the one it follows")]
    TimeWentBack,
    #[error("the head is not the last commit")]
    Head,
    #[error("there is an event or a commit that does not belong to the journal")]
    Extra,
}

fn or_no_commit(found: &Option<Hash>) -> String {
    found.map_or_else(|| "no commit ends".to_owned(), |hash| format!("its hash is {hash}"))
}

fn broken(position: i64, fault: Fault) -> VerifyError {
    VerifyError::Broken { position: u64::try_from(position).unwrap_or(0), fault }
}

/// Verifies the journal from nothing to its head. `progress` gets (positions done, positions in all) after
/// each commit. With `expect`, the commit that ends at this position must have this hash.
pub async fn verify(
    reader: &Reader,
    expect: Option<(u64, Hash)>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, VerifyError> {
    let store = reader.store();
    let edges = store.edges().await?;
    let mut walk = Walk::begin(store, &edges).await?;
    let mut at_expected = None;
    loop {
        if expect.is_some_and(|(position, _)| position == walk.position.unsigned_abs()) {
            at_expected = Some(walk.hash);
        }
        progress(walk.position.unsigned_abs(), edges.head.position.max(0).unsigned_abs());
        if walk.commit_id >= edges.head.commit_id {
            break;
        }
        walk.step().await?;
    }
    walk.check_edges()?;
    match expect {
        Some((position, expected)) if at_expected != Some(expected) => {
            Err(VerifyError::NotAsExpected { position, expected, found: at_expected })
        }
        _ => Ok(Verified { position: walk.position.unsigned_abs(), hash: walk.hash }),
    }
}

/// Where the walk stands: everything up to `position` is proven.
struct Walk<'a> {
    edges: &'a Edges,
    /// Stored types and their versions.
    listed: HashMap<Vec<u8>, HashSet<Vec<u8>>>,
    commits: Commits<'a>,
    events: Events<'a>,
    commit_id: i64,
    position: i64,
    recorded_at: i64,
    hash: Hash,
}

impl<'a> Walk<'a> {
    async fn begin(store: &'a dyn ReadStore, edges: &'a Edges) -> Result<Self, VerifyError> {
        let head = Head::try_from(edges.head.clone())?;
        // Read after the edges: it lists at least what stands before the head.
        let mut listed: HashMap<_, HashSet<_>> = HashMap::new();
        for (event_type, version) in store.event_versions().await? {
            listed.entry(event_type.into_bytes()).or_default().insert(version.into_bytes());
        }
        Ok(Self {
            edges,
            listed,
            commits: Commits { store, after: 0, page: Vec::new().into_iter() },
            events: Events { store, after: 0, page: Vec::new().into_iter() },
            commit_id: 0,
            position: 0,
            recorded_at: 0,
            hash: genesis(head.journal_id),
        })
    }

    /// Proves the next commit and its events.
    async fn step(&mut self) -> Result<(), VerifyError> {
        let first = self.position + 1;
        let commit = self.commits.next().await?.filter(|commit| commit.commit_id == self.commit_id + 1);
        let commit = commit.ok_or_else(|| broken(first, Fault::CommitMissing))?;
        if commit.first_position != first || commit.event_count < 1 {
            return Err(broken(first, Fault::Commit));
        }
        // Two chains over the same commit: if one holds, the commit is what was written, and a fault is that
        // of the row alone. If none holds, the commit's own row may be wrong, from its first position on.
        let hasher = || CommitHasher::new(&self.hash, commit.commit_id, first, commit.event_count, commit.recorded_at);
        let (mut of_stored_leaves, mut of_stored_bytes) = (hasher(), hasher());
        let mut fault = None;
        for position in first..first.saturating_add(commit.event_count) {
            let event = match self.events.next().await? {
                Some(event) if event.position == position => event,
                _ => return Err(self.missing(first, position, fault)),
            };
            let leaf = event.leaf();
            of_stored_leaves.leaf(&event.leaf_hash);
            of_stored_bytes.leaf(leaf.as_bytes());
            let found = self.row_fault(&event, &leaf, &commit);
            fault = fault.or(found.map(|found| broken(position, found)));
        }
        let hash = of_stored_bytes.finish();
        if commit.hash != hash.as_bytes() && commit.hash != of_stored_leaves.finish().as_bytes() {
            return Err(broken(first, Fault::Commit));
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if commit.recorded_at < self.recorded_at {
            return Err(broken(first, Fault::TimeWentBack));
        }
        self.commit_id = commit.commit_id;
        self.position += commit.event_count;
        self.recorded_at = commit.recorded_at;
        self.hash = hash;
        Ok(())
    }

    fn row_fault(&self, event: &RawEvent, leaf: &Hash, commit: &RawCommit) -> Option<Fault> {
        let listed = || self.listed.get(&event.event_type).is_some_and(|v| v.contains(&event.event_version));
        if event.leaf_hash != leaf.as_bytes() {
            Some(Fault::Leaf)
        } else if event.commit_id != commit.commit_id {
            Some(Fault::NotOfItsCommit { column: "commit_id" })
        } else if event.recorded_at != commit.recorded_at {
            Some(Fault::NotOfItsCommit { column: "recorded_at" })
        } else {
            (!listed()).then_some(Fault::VersionNotListed)
        }
    }

    /// No event stands at `position`, within the commit that begins at `first`. Where both head and events end
    /// before it, it never was: the commit's own row counts too many, and `fault` may be but its consequence.
    fn missing(&self, first: i64, position: i64, fault: Option<VerifyError>) -> VerifyError {
        let end = position - 1;
        let never_was = self.edges.head.position == end && self.edges.last_position == end;
        if position > first && never_was {
            broken(first, Fault::Commit)
        } else {
            fault.unwrap_or_else(|| broken(position, Fault::EventMissing))
        }
    }

    /// After the last commit: the head is that commit, and nothing stands beside what was walked.
    fn check_edges(&self) -> Result<(), VerifyError> {
        let Edges { head, last_position, last_commit, strays } = self.edges;
        if head.position != self.position
            || head.commit_id != self.commit_id
            || head.recorded_at != self.recorded_at
            || head.hash != self.hash.as_bytes()
        {
            return Err(broken(self.position, Fault::Head));
        }
        if *last_position > self.position || *last_commit > self.commit_id {
            return Err(broken(self.position + 1, Fault::Extra));
        }
        if *strays != 0 {
            return Err(broken(0, Fault::Extra));
        }
        Ok(())
    }
}

/// Reads a table page by page. Each page is a snapshot of its own: rows up to the head never change.
struct Commits<'a> {
    store: &'a dyn ReadStore,
    after: i64,
    page: vec::IntoIter<RawCommit>,
}

impl Commits<'_> {
    async fn next(&mut self) -> Result<Option<RawCommit>, ReadError> {
        if self.page.len() == 0 {
            self.page = self.store.commits(self.after, PAGE).await?.into_iter();
        }
        let commit = self.page.next();
        self.after = commit.as_ref().map_or(self.after, |commit| commit.commit_id);
        Ok(commit)
    }
}

/// As [`Commits`].
struct Events<'a> {
    store: &'a dyn ReadStore,
    after: i64,
    page: vec::IntoIter<RawEvent>,
}

impl Events<'_> {
    async fn next(&mut self) -> Result<Option<RawEvent>, ReadError> {
        if self.page.len() == 0 {
            self.page = self.store.events(self.after, PAGE, None).await?.into_iter();
        }
        let event = self.page.next();
        self.after = event.as_ref().map_or(self.after, |event| event.position);
        Ok(event)
    }
}
