//! The hash chain: which bytes are hashed, in which order. The same on every database, and for ever.
//!
//! Integers are 64 bits, big-endian, two's complement. `text` is the stored UTF-8 text, byte for byte, never
//! a value that was parsed and written again. UUIDs stand in the database as 36 characters, lower case with
//! hyphens, and are hashed as that text, except in the genesis hash.
//!
//! ```text
//! leaf    = SHA-256( "zeroload event 1\n"
//!                    len aggregate_type  text        (len: byte length of what follows it)
//!                    len aggregate_id    text
//!                    8   sequence        integer
//!                    len event_type      text
//!                    len event_version   text
//!                    len payload         text
//!                    len metadata        text
//!                    len tenant          text
//!                    len command_id      text )
//!
//! commit  = SHA-256( "zeroload commit 1\n"
//!                    previous commit's hash   32 bytes (of the first commit: genesis)
//!                    commit_id                integer  (1, 2, 3 …)
//!                    first_position           integer
//!                    event_count              integer
//!                    recorded_at              integer  (µs since 1970-01-01T00:00:00Z)
//!                    leaves                   32 bytes each, in order of position )
//!
//! genesis = SHA-256( "zeroload genesis 1\n"  journal_id as 16 bytes )
//! ```
//!
//! A leaf does not hold position, commit or time: it is known before they are. The commit binds them.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A SHA-256, shown and parsed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// The text is not 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits, got {length} bytes of other text")]
pub struct ParseHashError {
    /// Length of the refused text in bytes.
    pub length: usize,
}

impl Hash {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseHashError { length: text.len() })?;
        Ok(Self(bytes))
    }
}

/// What a leaf is made of: the stored bytes of one event's columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf<'a> {
    pub aggregate_type: &'a [u8],
    pub aggregate_id: &'a [u8],
    pub sequence: i64,
    pub event_type: &'a [u8],
    pub event_version: &'a [u8],
    pub payload: &'a [u8],
    pub metadata: &'a [u8],
    pub tenant: &'a [u8],
    pub command_id: &'a [u8],
}

impl Leaf<'_> {
    pub fn hash(&self) -> Hash {
        let mut sha = Sha256::new_with_prefix(b"zeroload event 1\n");
        let mut field = |bytes: &[u8]| {
            sha.update((bytes.len() as u64).to_be_bytes());
            sha.update(bytes);
        };
        field(self.aggregate_type);
        field(self.aggregate_id);
        field(&self.sequence.to_be_bytes());
        field(self.event_type);
        field(self.event_version);
        field(self.payload);
        field(self.metadata);
        field(self.tenant);
        field(self.command_id);
        Hash(sha.finalize().into())
    }
}

/// A commit hash in the making: its leaves are fed one by one, so that a commit of any size is verified in
/// bounded memory.
pub(super) struct CommitHasher(Sha256);

impl CommitHasher {
    pub fn new(previous: &Hash, commit_id: i64, first_position: i64, event_count: i64, recorded_at: i64) -> Self {
        let mut sha = Sha256::new_with_prefix(b"zeroload commit 1\n");
        sha.update(previous.0);
        for number in [commit_id, first_position, event_count, recorded_at] {
            sha.update(number.to_be_bytes());
        }
        Self(sha)
    }

    pub fn leaf(&mut self, leaf: &[u8]) {
        self.0.update(leaf);
    }

    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// What the first commit chains to: it makes every hash of a journal its own.
pub(super) fn genesis(journal_id: Uuid) -> Hash {
    let sha = Sha256::new_with_prefix(b"zeroload genesis 1\n").chain_update(journal_id.as_bytes());
    Hash(sha.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Leaf<'static> {
        Leaf {
            aggregate_type: b"media",
            aggregate_id: b"0190a5f0-0000-7000-8000-000000000001",
            sequence: 1,
            event_type: b"MediaRequested",
            event_version: b"1.0",
            payload: br#"{"owner":"u1"}"#,
            metadata: br#"{"request_id":"r1"}"#,
            tenant: b"default",
            command_id: b"0190a5f0-0000-7000-8000-00000000000a",
        }
    }

    // Computed once, by an independent program from the layout above. A change here breaks every journal.
    const LEAF: &str = "09b49d4c08d01c858349e422f934c17b618553b39cf45083ad6f1a9e66cb6038";
    const GENESIS: &str = "5d9e22dbc5251f1abc6ec341f782662e8bce83b122848f8839cd7cffb7549ebd";
    const COMMIT: &str = "991eea7607d9e8dd9d9935ab6c9a646d55793a50b07941bc8a461c9ed59ffb98";

    #[test]
    fn the_byte_layout_never_changes() {
        let genesis = genesis(Uuid::from_u128(0x0190_a5f0_0000_7000_8000_0000_0000_00ff));
        let mut commit = CommitHasher::new(&genesis, 1, 1, 2, 1_750_000_000_123_000);
        commit.leaf(leaf().hash().as_bytes());
        commit.leaf(leaf().hash().as_bytes());
        assert_eq!(leaf().hash().to_string(), LEAF);
        assert_eq!(genesis.to_string(), GENESIS);
        assert_eq!(commit.finish().to_string(), COMMIT);
    }

    #[test]
    fn a_byte_that_moves_to_the_next_field_changes_the_leaf() {
        let moved = Leaf { event_type: b"MediaRequested1", event_version: b".0", ..leaf() };
        assert_ne!(moved.hash(), leaf().hash());
    }

    #[test]
    fn a_hash_is_parsed_from_what_it_shows() {
        let hash = leaf().hash();
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("12".parse::<Hash>(), Err(ParseHashError { length: 2 }));
        assert!(format!("{}g", &hash.to_string()[..63]).parse::<Hash>().is_err());
        assert!(format!("{}é", &hash.to_string()[..62]).parse::<Hash>().is_err());
    }
}
