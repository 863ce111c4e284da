//! What a sandbox is to be like, and how it is laid out.

use super::sandbox::{Sandbox, USER, quoted};
use super::{Target, executables, is_root, run_directory, spawned, target};
use crate::standin::{self, Layout};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};

/// The uid of a sandbox when root runs the suite: nobody else's, and not that
/// of another run at the same time. Groups have other numbers.
fn own_ids(number: u32) -> (u32, u32) {
    let uid = 1_000_000 + std::process::id() % 100_000 * 1_000 + number;
    (uid, uid + 200_000_000)
}

/// What a sandbox is to be like.
#[derive(Debug, Default)]
pub struct Builder {
    directory: OsString,
    no_setup: bool,
    ini: Vec<String>,
    port: Option<u16>,
    own_etc: bool,
}

impl Builder {
    /// Names the directory that holds everything; any bytes.
    pub fn directory(mut self, name: impl AsRef<OsStr>) -> Builder {
        self.directory = name.as_ref().to_owned();
        self
    }

    /// The server was not set up: notes.ini without ServerSetup.
    pub fn not_set_up(mut self) -> Builder {
        self.no_setup = true;
        self
    }

    /// A further line of notes.ini.
    pub fn ini(mut self, line: impl Into<String>) -> Builder {
        self.ini.push(line.into());
        self
    }

    /// The running server listens on this port.
    pub fn port(mut self, port: u16) -> Builder {
        self.port = Some(port);
        self
    }

    /// Commands see a copy of the host's /etc with the sandbox's user in it.
    pub fn own_etc(mut self) -> Builder {
        self.own_etc = true;
        self
    }

    /// Lays it out.
    pub fn build(self) -> Sandbox {
        let number = run_directory::next_number();
        let top = run_directory::get().join(format!("s{number}"));
        let base = match self.directory.is_empty() {
            true => top.clone(),
            false => top.join(&self.directory),
        };
        let ids = match is_root() {
            true => own_ids(number),
            false => (
                nix::unistd::getuid().as_raw(),
                nix::unistd::getgid().as_raw(),
            ),
        };
        let own_etc = self.own_etc || matches!(target(), Target::Original(_));
        let mut sandbox = Sandbox {
            root: base.join("root"),
            lotus: base.join("lotus"),
            data: base.join("data"),
            home: base.join("home"),
            ids,
            own_etc,
            config: Vec::new(),
            top,
            base,
        };
        sandbox.lay_out(&self);
        sandbox
    }
}

impl Sandbox {
    fn lay_out(&mut self, wanted: &Builder) {
        for directory in [&self.root.join("etc"), &self.home] {
            fs::create_dir_all(directory).unwrap();
        }
        if self.own_etc {
            let mut copy = std::process::Command::new("cp");
            copy.args(["-a", "/etc/.", "--"]).arg(self.root.join("etc"));
            let copied = spawned(&mut copy).wait();
            assert!(copied.is_ok_and(|status| status.success()), "copy of /etc");
        }
        for directory in ["run", "var/lib"].map(|name| self.root.join(name)) {
            fs::create_dir_all(&directory).unwrap();
            self.own(&directory);
        }
        let sysconfig = self.root.join("etc/sysconfig");
        let _ = fs::remove_dir_all(&sysconfig);
        fs::create_dir_all(&sysconfig).unwrap();
        self.add_user(b"/bin/bash");
        let mut layout = Layout::new(run_directory::standin(), &self.lotus, &self.data);
        layout.server_setup = !wanted.no_setup;
        layout.port = wanted.port;
        layout.ini = wanted.ini.clone();
        layout.owner = is_root().then_some(self.ids);
        {
            let _guard = executables();
            standin::install(&layout).unwrap();
        }
        self.line(b"LOTUS=", &quoted(self.lotus.as_os_str()));
        self.line(b"DOMINO_DATA_PATH=", &quoted(self.data.as_os_str()));
        let pid_file = self.data.join("domino.pid");
        self.line(b"DOMINO_PID_FILE=", &quoted(pid_file.as_os_str()));
        for (name, value) in [
            ("DOMINO_CONFIGURED", "yes"),
            ("DOMINO_SHUTDOWN_TIMEOUT", "60"),
            ("DOMINO_SCRIPT_VERBOSE_INFO", "no"),
            ("DOMINO_SETTLE_SECONDS", "0.1"),
        ] {
            self.set(name, value);
        }
        for directory in [&self.top, &self.base, &self.home, &self.data] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
            if is_root() {
                chown(directory, Some(self.ids.0), Some(self.ids.1)).unwrap();
            }
        }
    }

    /// Makes the user, with this shell, the only ordinary one of passwd and
    /// group.
    pub fn add_user(&self, shell: &[u8]) {
        let (uid, gid) = self.ids;
        let mut passwd = b"root:x:0:0:root:/root:/bin/bash\n".to_vec();
        passwd.extend_from_slice(format!("{USER}:x:{uid}:{gid}::").as_bytes());
        passwd.extend_from_slice(self.home.as_os_str().as_bytes());
        passwd.extend_from_slice(&[b":", shell, b"\n"].concat());
        fs::write(self.root.join("etc/passwd"), passwd).unwrap();
        let group = format!("root:x:0:\n{USER}:x:{gid}:\n");
        fs::write(self.root.join("etc/group"), group).unwrap();
    }
}
