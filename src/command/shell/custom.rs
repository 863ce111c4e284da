//! The site's own commands: executables in DOMINO_CUSTOM_COMMAND_BASEPATH,
//! called by their names like verbs.

use super::super::identity::Needs;
use super::super::loading;
use super::super::{Call, identity, switch};
use super::peek;
use crate::cli;
use crate::domino::state::State;
use crate::domino::{Partition, environment, hooks, processes};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::files::{is_executable, read_bounded};
use crate::os::spawn::Launch;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The setting that names their directory.
const BASE: &str = "DOMINO_CUSTOM_COMMAND_BASEPATH";

/// The largest configuration file that is looked through, in bytes.
const LARGEST_CONFIGURATION: u64 = 1 << 20;

/// The heading of the commands in help, where EXTENSION_COMMAND_TEXT has none.
const HEADING: &str = "Custom Commands";

/// The site's own help for them, in their directory.
const HELP_FILE: &str = "help.txt";

/// The largest of these that is shown, in bytes.
const LARGEST_HELP: u64 = 64 << 10;

/// The most commands that are listed.
const MOST: usize = 1_000;

/// Where the site's commands lie, as far as that can be told without
/// executing the configuration.
#[derive(Debug)]
pub struct Site {
    directory: PathBuf,
    heading: String,
}

impl Site {
    /// What is configured.
    pub fn of(call: &Call) -> Option<Site> {
        Some(Site {
            directory: peek(call, BASE)?.into(),
            heading: peek(call, "EXTENSION_COMMAND_TEXT")
                .map_or_else(|| HEADING.to_owned(), |text| shown(&text)),
        })
    }

    /// The names of the commands, in order.
    pub fn names(&self) -> Vec<OsString> {
        let mut names: Vec<OsString> = std::fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| is_name(&entry.file_name()))
            .filter(|entry| entry.path().is_file() && is_executable(&entry.path()))
            .map(|entry| entry.file_name())
            .take(MOST)
            .collect();
        names.sort();
        names
    }

    /// The commands and the site's help for them, as lines. Root reads them
    /// with the Domino user's rights: the directory is his.
    pub fn help(&self, call: &Call) -> Vec<String> {
        if let Ok(identity) = identity::settle(call)
            && identity.standing == identity::Standing::Root
            && switch::become_user(call, &identity.user).is_err()
        {
            return Vec::new();
        }
        let names = self.names();
        let mut lines = Vec::new();
        if !names.is_empty() {
            lines.push(String::new());
            lines.push(format!("{}:", self.heading));
            lines.extend(names.iter().map(|name| format!("  {}", shown(name))));
        }
        if let Ok(text) = read_bounded(&self.directory.join(HELP_FILE), LARGEST_HELP) {
            lines.push(String::new());
            lines.extend(
                text.trim_ascii_end()
                    .split(|byte| *byte == b'\n')
                    .map(|line| {
                        let line = String::from_utf8_lossy(line.trim_ascii_end());
                        shown(OsStr::new(&line.replace('\t', "    ")))
                    }),
            );
        }
        lines
    }
}

/// Whether a word can name a file in the directory, and no other one.
fn is_name(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    (1..=255).contains(&bytes.len())
        && !bytes.starts_with(b".")
        && !bytes.starts_with(b"-")
        && !bytes.contains(&b'/')
        && !bytes.contains(&0)
}

fn unknown(verb: &OsStr) -> Error {
    Error::UnknownVerb {
        nearest: cli::nearest_verb(verb),
        verb: verb.to_owned(),
    }
}

/// Runs a site's command with the remaining words; its exit code is passed
/// on. A word that names none is an unknown verb.
pub fn run(call: &Call, words: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let (verb, arguments) = words
        .split_first()
        .ok_or_else(|| Error::Usage("no verb is given".to_owned()))?;
    // A typing error is answered at once: nothing is loaded and nobody is
    // asked for a password.
    if !is_name(verb) || certainly_none(call, verb) {
        return Err(unknown(verb));
    }
    let partition = match loading::here(loading::access(call, Needs::Login, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    let Some(directory) = &partition.settings.custom_command_basepath.value else {
        return Err(unknown(verb));
    };
    let program = directory.join(verb);
    match std::fs::symlink_metadata(&program) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(unknown(verb)),
        _ => {}
    }
    hooks::may_run(&partition, &program).map_err(|problem| Error::Path {
        path: program.clone(),
        problem: format!("custom command {problem}"),
    })?;
    switch::run_in_front(launch(&partition, program, arguments)?, ui)
}

/// Whether the configuration shows, without being executed, that there is no
/// such command.
fn certainly_none(call: &Call, verb: &OsStr) -> bool {
    match peek(call, BASE) {
        None => !may_be_set(call),
        Some(directory) => matches!(
            std::fs::symlink_metadata(PathBuf::from(directory).join(verb)),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound
        ),
    }
}

/// Whether a configuration file names the setting in a way that only a shell
/// understands, or names a further file.
fn may_be_set(call: &Call) -> bool {
    let files = identity::settle(call)
        .ok()
        .and_then(|identity| {
            crate::settings::configuration_files(&call.root, &identity.user.name).ok()
        })
        .into_iter()
        .flatten();
    files
        .filter_map(|file| read_bounded(&file, LARGEST_CONFIGURATION).ok())
        .any(|text| {
            text.split(|byte| *byte == b'\n')
                .map(<[u8]>::trim_ascii_start)
                .filter(|line| !line.starts_with(b"#"))
                .any(|line| holds(line, BASE) || holds(line, "DOMINO_ENV_FILE"))
        })
}

fn holds(line: &[u8], name: &str) -> bool {
    line.windows(name.len())
        .any(|window| window == name.as_bytes())
}

/// With Domino's environment, where the caller is if that can be entered.
fn launch(partition: &Partition, program: PathBuf, arguments: &[OsString]) -> Result<Launch> {
    let state = State::of(processes::find(partition)?);
    let server = state.server().map(|server| server.pid());
    let mut launch = Launch::new(program);
    launch.args = arguments.to_vec();
    launch.env = environment::for_programs(partition, server);
    Ok(launch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_commands() {
        for bad in [
            "", ".", "..", "../x", "/bin/sh", "a/b", "-x", ".hidden", "a\0",
        ] {
            assert!(!is_name(OsStr::new(bad)), "{bad}");
        }
        for good in ["backup", "a b", "übung"] {
            assert!(is_name(OsStr::new(good)), "{good}");
        }
    }
}
