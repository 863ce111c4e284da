//! Paths with blanks, dots, quotes and bytes that are no UTF-8 (D04).

use crate::support::hooks::files;
use crate::support::{Sandbox, wait_until};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

scenarios![any_directory_name, links_on_the_way];

fn any_directory_name() {
    for name in [
        &b"with blank"[..],
        b"with.dot.log",
        b"quote ' and \" and $HOME `id` * ?",
        b"new\nline",
        b"not \xff\xfe utf-8",
        b"server",
        b"-q --force",
    ] {
        let mut sandbox = Sandbox::builder()
            .directory(OsStr::from_bytes(name))
            .build();
        let shown = String::from_utf8_lossy(name).into_owned();
        let archives = sandbox.base.join("log archives.d");
        sandbox.set("DOMINO_LOG_BACKUP_DIR", &archives);
        let hook = sandbox.script("a hook.sh", "touch \"$DOMINO_DATA_PATH/hook ran\"");
        sandbox.set("DOMINO_PRE_STARTUP_SCRIPT", &hook);
        sandbox.set("DOMINO_START_COMPACT_OPTIONS", "-C names.nsf");
        sandbox.file("notes.log", "old\n");
        sandbox.up();
        let call = sandbox.launch();
        assert_eq!(call.cwd, sandbox.data.as_os_str(), "{shown}");
        assert_eq!(call.fds[&1], sandbox.log().as_os_str(), "{shown}");
        assert_eq!(
            call.env[OsStr::new("DOMINO_DATA_PATH")],
            sandbox.data.as_os_str()
        );
        assert!(sandbox.data.join("hook ran").exists(), "{shown}");
        assert_eq!(sandbox.calls("compact").len(), 1, "{shown}");
        wait_until("the archive is there", || {
            files(&archives, "notes_", ".log.gz").len() == 1
        });
        sandbox.run(&["status"]).code(0);
        sandbox.run(&["status", "--json"]).code(0);
        sandbox.down();
        sandbox.run(&["status"]).code(3);
    }
}

/// The configuration names the installation through a link.
fn links_on_the_way() {
    let mut sandbox = Sandbox::new();
    let link = sandbox.base.join("linked");
    std::os::unix::fs::symlink(&sandbox.lotus, &link).unwrap();
    sandbox.set("LOTUS", &link);
    let data = sandbox.base.join("linked data");
    std::os::unix::fs::symlink(&sandbox.data, &data).unwrap();
    sandbox.set("DOMINO_DATA_PATH", &data);
    sandbox.up();
    sandbox.run(&["status"]).code(0);
    // Configured the other way meanwhile: the same server.
    sandbox.set("LOTUS", sandbox.lotus.clone());
    sandbox.run(&["status"]).code(0);
    sandbox.set("DOMINO_DATA_PATH", sandbox.data.clone());
    sandbox.run(&["stop"]).code(0);
    assert!(sandbox.processes().is_empty());
    assert!(fs::symlink_metadata(&data).unwrap().is_symlink());
}
