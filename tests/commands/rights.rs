//! What the process may do, and what others may not.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use crate::{process::Site, tool::Api};

/// All files at and below a folder, with what others may do with them.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        // Some come and go.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            open.append(&mut open_to_others(&path));
        } else if metadata.permissions().mode() & 0o077 != 0 {
            open.push(format!("{} {:o}", path.display(), metadata.permissions().mode()));
        }
    }
    open
}

#[tokio::test]
async fn no_file_is_open_to_others_in_a_folder_that_is() {
    let site = Site::new(&[]);
    for folder in [site.data(), site.data().join("s3")] {
        fs::create_dir_all(&folder).expect("made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("set");
    }
    let mut serving = site.serve_anywhere();
    for round in 0..2 {
        Api::of(&serving).confirmed(b"bytes").await;
        assert_eq!(open_to_others(&site.data()), Vec::<String>::new());
        serving.signal("-TERM");
        assert!(serving.wait().success());
        let journal = crate::tool::journal(&site);
        if round == 0 {
            // As an earlier build left it, whose log SQLite gives the same rights.
            fs::set_permissions(&journal, fs::Permissions::from_mode(0o644)).expect("set");
        }
        serving = site.serve_anywhere();
        assert_eq!(open_to_others(&site.data()), Vec::<String>::new());
    }
}

#[test]
fn a_server_may_open_as_many_files_as_the_system_allows_it() {
    let site = Site::new(&[]);
    let plain = site.command(&["serve", "--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 200 && exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(site.path());
    let serving = site.serve_by(&mut command).unwrap_or_else(|refused| panic!("{refused:?}"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.pid)).expect("its limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("of files");
    let numbers: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{files}");
    assert_ne!(numbers[0], "200", "{files}");
}
