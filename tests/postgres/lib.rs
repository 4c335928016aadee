//! PostgreSQL and PgBouncer from Debian's packages, for tests of every crate.
//!
//! Each server lies in a temporary folder of its own and is looked after by a [`Keeper`], so that neither process nor folder
//! is left when the test's process ends, `kill -9` included.

mod cluster;
mod disk;
mod keeper;
mod pooler;
mod relay;

pub use cluster::{Cluster, shared};
pub use disk::{Disk, Part};
pub use keeper::Keeper;
pub use pooler::Pooler;
pub use relay::Relay;

/// Between two looks at something that nobody announces.
const POLL: std::time::Duration = std::time::Duration::from_millis(20);

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
