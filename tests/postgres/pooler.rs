//! PgBouncer in transaction mode before a cluster.

use std::{net::TcpStream, thread};

use crate::{Cluster, Keeper, POLL, free_port};

pub struct Pooler {
    _keeper: Keeper,
    port: u16,
}

impl Pooler {
    /// With fewer connections to the server than its clients have to it.
    pub fn start(cluster: &Cluster) -> Self {
        let (keeper, port) = (Keeper::start(), free_port());
        // With `any` nobody is asked for a password, and the server is met as one role.
        let lines = [
            "[databases]".to_owned(),
            format!("postgres = host=127.0.0.1 user=postgres port={}", cluster.port()),
            "[pgbouncer]".to_owned(),
            "listen_addr = 127.0.0.1".to_owned(),
            format!("listen_port = {port}"),
            "unix_socket_dir =".to_owned(),
            "auth_type = any".to_owned(),
            "pool_mode = transaction".to_owned(),
            "default_pool_size = 6".to_owned(),
        ];
        for line in lines {
            keeper.run(&format!("echo '{line}' >> pgbouncer.ini"));
        }
        keeper.run("/usr/sbin/pgbouncer pgbouncer.ini & server=$!");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(keeper.try_to(r#"kill -0 "$server""#), "{}", keeper.log());
            thread::sleep(POLL);
        }
        Self { _keeper: keeper, port }
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?pgbouncer=true", self.port)
    }
}
