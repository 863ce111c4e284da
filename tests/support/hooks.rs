//! Hook scripts that record that they ran, when, and what they were given.

use super::{Sandbox, executables};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Sandbox {
    /// An executable shell script of the user's, outside of the data directory.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.directory("scripts").join(name);
        let _guard = executables();
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.own(&path);
        path
    }

    /// Configures a hook that records itself and then does something else.
    pub fn hook(&mut self, setting: &str, body: &str) -> PathBuf {
        let record = self.directory("record");
        let record = record.to_str().unwrap();
        let name = setting.to_ascii_lowercase();
        let path = self.script(
            &name,
            &format!(
                "echo \"{setting} $(date +%s%3N)\" >>'{record}/order'\nenv -0 >'{record}/{setting}'\n{body}"
            ),
        );
        self.set(setting, &path);
        path
    }

    /// The environment that a hook was last run with.
    #[track_caller]
    pub fn hook_environment(&self, setting: &str) -> BTreeMap<OsString, OsString> {
        let path = self.base.join("record").join(setting);
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        variables(&text)
    }

    /// Which hooks ran, in their order.
    pub fn hooks_run(&self) -> Vec<String> {
        self.hook_times()
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    }

    fn hook_times(&self) -> Vec<(u64, String)> {
        let text = fs::read_to_string(self.base.join("record/order")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let (name, at) = line.split_once(' ')?;
                Some((at.parse().ok()?, name.to_owned()))
            })
            .collect()
    }

    /// Hooks and calls of Domino's programs (tasks left out) in the order in
    /// which they began: `HOOK` and `program arguments`.
    pub fn events(&self) -> Vec<String> {
        let mut events = self.hook_times();
        for call in self.calls("") {
            if !["server", "nsd", "compact", "dbmt", "fixup"].contains(&call.program.as_str()) {
                continue;
            }
            let arguments = call.args().join(" ");
            let event = format!("{} {}", call.program, arguments);
            events.push((call.at_ms, event.trim().to_owned()));
        }
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).collect()
    }
}

/// NUL-separated variables.
pub fn variables(text: &[u8]) -> BTreeMap<OsString, OsString> {
    text.split(|byte| *byte == 0)
        .filter_map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=')?;
            let part = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
            Some((part(&entry[..at]), part(&entry[at + 1..])))
        })
        .collect()
}

/// Whole files by name below a directory, those whose name begins and ends so.
pub fn files(directory: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        })
        .collect();
    found.sort();
    found
}
