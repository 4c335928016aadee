//! The one pair of keys, made at the first start and kept in `credentials.json`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};

const FILE: &str = "credentials.json";
/// Characters of an access key, as AWS uses them.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// No `Debug`: a secret must not reach a log by accident.
#[derive(Serialize, Deserialize)]
pub(super) struct Credentials {
    pub access_key: String,
    pub secret_key: String,
}

impl Credentials {
    /// Reads the file, or makes it. The caller holds the directory's lock.
    pub(super) fn load_or_create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(text) => {
                // Somebody may have copied the file, so that others can read it.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                serde_json::from_slice(&text).map_err(io::Error::from)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::generate()?;
                made.save(dir)?;
                Ok(made)
            }
            Err(error) => Err(error),
        }
    }

    fn generate() -> io::Result<Self> {
        let mut bytes = [0_u8; 48];
        OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        // The secret has AWS's characters too: a secret that begins with a hyphen would be taken for a flag on a
        // command line.
        let (name, secret) = bytes.split_at(18);
        let name: String = name.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        Ok(Self { access_key: format!("ZL{name}"), secret_key: STANDARD.encode(secret) })
    }

    /// A crash leaves no file or the whole file, never half a secret.
    fn save(&self, dir: &Path) -> io::Result<()> {
        let temporary = dir.join("credentials.json.tmp");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(FILE))?;
        File::open(dir)?.sync_all()
    }
}
