//! A disk that is full, really: a small one of the test's own, or where none can be mounted, files that may not grow.

use std::{fs, io::Write, path::PathBuf};

use crate::{Cluster, Keeper};

const MIB: u64 = 1 << 20;

/// Where a cluster's data and log lie.
pub enum Disk {
    /// `tmpfs`, seen by the server alone: filled by a file of somebody else.
    Small { keeper: u32 },
    /// No file of the server may grow beyond a limit (`RLIMIT_FSIZE`): the system refuses to write, as a full disk does.
    Limited,
}

/// Which of the two is full.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Tables and indexes: a statement fails, and the server goes on.
    Data,
    /// The write-ahead log: the server gives up, and may not come back before there is room.
    Log,
}

impl Disk {
    /// A cluster on such a disk.
    pub fn cluster(settings: &[&str]) -> (Cluster, Self) {
        let disks = [("/mnt/data", "96m"), ("/mnt/wal", "48m")];
        let small = ["min_wal_size=2MB", "max_wal_size=8MB"];
        let settings: Vec<&str> = small.iter().chain(settings).copied().collect();
        match Keeper::with_disks(&disks) {
            Some(keeper) => {
                let disk = Self::Small { keeper: keeper.pid() };
                let data = "/mnt/data/data";
                (Cluster::start_in(keeper, data, "--waldir=/mnt/wal/wal --wal-segsize=1", &settings), disk)
            }
            None => {
                eprintln!("NOT ON A DISK OF ITS OWN: files that may not grow stand for a disk that is full");
                (Cluster::start_in(Keeper::start(), "data", "--wal-segsize=1", &settings), Self::Limited)
            }
        }
    }

    pub fn fill(&self, cluster: &Cluster, part: Part) {
        match self {
            Self::Small { .. } => {
                let mut ballast = fs::File::create(self.ballast(part)).expect("the disk is there");
                let chunk = vec![0; 4096];
                while ballast.write_all(&chunk).is_ok() {}
            }
            // Not a multiple of a page: the last one is written in part, which the server knows as a full disk.
            Self::Limited => limit(
                cluster,
                &match part {
                    Part::Data => (MIB + 4096).to_string(),
                    Part::Log => (MIB / 8).to_string(),
                },
            ),
        }
    }

    /// Makes room.
    pub fn clear(&self, cluster: &Cluster, part: Part) {
        match self {
            Self::Small { .. } => fs::remove_file(self.ballast(part)).expect("it was filled"),
            Self::Limited => limit(cluster, "unlimited"),
        }
    }

    fn ballast(&self, part: Part) -> PathBuf {
        let Self::Small { keeper } = self else { unreachable!("only a disk holds files") };
        let disk = match part {
            Part::Data => "data",
            Part::Log => "wal",
        };
        // As the keeper sees it.
        format!("/proc/{keeper}/root/mnt/{disk}/ballast").into()
    }
}

/// By the keeper, who is the server's own user: others may not.
fn limit(cluster: &Cluster, bytes: &str) {
    let set = |pid: &str| cluster.keeper().try_to(&format!("prlimit --pid {pid} --fsize={bytes}:unlimited"));
    let pids = cluster.pids();
    // The postmaster is there, or there is nobody to limit; a child may have ended by itself.
    let limited = pids.iter().map(|pid| set(pid)).collect::<Vec<_>>();
    assert!(limited[0] || !cluster.is_running(), "{}", cluster.log());
}
