//! The QEMU guest agent as it is set up: which freeze hook it calls, and which
//! of its files says so.

use super::place;
use crate::error::{Error, Result};
use crate::os::files::read_bounded;
use crate::os::process;
use crate::os::root::Root;
use crate::service::unit_file::{Line, UnitFile};
use crate::service::unit_value::commands_of;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What `-F` means without a path.
pub const DEFAULT_HOOK: &str = "/etc/qemu/fsfreeze-hook";

/// What the agent reads before its command line, which goes before it.
pub const CONFIG: &str = "/etc/qemu/qemu-ga.conf";

const UNIT: &str = "qemu-guest-agent.service";

/// Debian's file for the init script, which its unit does not read.
pub const DEFAULTS: &str = "/etc/default/qemu-guest-agent";

/// How the agent is set up.
#[derive(Debug, Default)]
pub struct Agent {
    /// The unit's own file, where there is one.
    pub unit: Option<PathBuf>,
    /// The unit's command line, variables put in.
    pub command: Vec<String>,
    /// The hook that command line names.
    pub by_command: Option<PathBuf>,
    /// The file and the variable that hook comes from, where it is one.
    pub variable: Option<(PathBuf, String)>,
    /// The hook that qemu-ga.conf names.
    pub by_config: Option<PathBuf>,
    /// Whether DEFAULTS has a hook that the unit does not read.
    pub unread: bool,
    /// The command line of the agent that runs now.
    pub running: Option<Vec<String>>,
}

impl Agent {
    /// Looks at unit, configuration and the running agent.
    pub fn read(root: &Root) -> Result<Agent> {
        let mut agent = Agent::default();
        let read = UnitFile::read(root, OsStr::new(UNIT)).map_err(Error::file("read", UNIT))?;
        let mut files = Vec::new();
        if let Some(unit) = read {
            let variables = variables(root, &unit, &mut files);
            let line = unit.list("ExecStart").last().map(|line| &line.value);
            let words = line.map(|line| words(line)).unwrap_or_default();
            agent.variable = words
                .iter()
                .filter(|word| word.starts_with("-F") || word.starts_with("--fsfreeze-hook"))
                .find_map(|word| {
                    let (_, rest) = word.split_once('$')?;
                    let name = rest.trim_matches(['{', '}']);
                    variables
                        .iter()
                        .find(|(_, known, _)| known == name)
                        .map(|(file, known, _)| (file.clone(), known.clone()))
                });
            agent.command = expand(words, &variables);
            agent.by_command = hook_of(&agent.command);
            agent.unit = Some(unit.path);
        }
        agent.by_config = configured(root);
        let defaults = root.path(DEFAULTS);
        agent.unread = !files.contains(&defaults)
            && read_bounded(&defaults, 1 << 16)
                .is_ok_and(|text| hook_in_defaults(&String::from_utf8_lossy(&text)));
        if root.is_system() {
            agent.running = running();
        }
        Ok(agent)
    }

    /// The hook that the agent calls after its next start.
    pub fn hook(&self) -> Option<&Path> {
        self.by_command.as_deref().or(self.by_config.as_deref())
    }

    /// Whether there is an agent at all.
    pub fn is_there(&self, root: &Root) -> bool {
        let programs = ["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"];
        self.unit.is_some()
            || self.running.is_some()
            || programs.iter().any(|path| root.path(path).exists())
    }
}

/// The program and its arguments as systemd runs them.
fn words(line: &str) -> Vec<String> {
    let commands = commands_of(line).unwrap_or_default();
    let command = commands.into_iter().next().unwrap_or_default();
    std::iter::once(command.program.into())
        .chain(command.arguments)
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// The variables of the unit's environment, each with the file it stands in.
fn variables(
    root: &Root,
    unit: &UnitFile,
    files: &mut Vec<PathBuf>,
) -> Vec<(PathBuf, String, String)> {
    let mut found = Vec::new();
    let mut take = |file: &Path, line: &str| {
        if let Some((name, value)) = line.split_once('=') {
            let value = value.trim().trim_matches(['"', '\'']);
            found.push((file.to_path_buf(), name.trim().to_owned(), value.to_owned()));
        }
    };
    let service = |line: &&Line| line.section == "Service";
    for line in unit.lines.iter().filter(service) {
        match line.key.as_str() {
            "Environment" => take(&line.file, line.value.trim_matches('"')),
            "EnvironmentFile" => {
                let file = root.path(line.value.trim_start_matches('-'));
                if let Ok(text) = read_bounded(&file, 1 << 16) {
                    for line in String::from_utf8_lossy(&text).lines() {
                        if !line.trim_start().starts_with(['#', ';']) {
                            take(&file, line);
                        }
                    }
                }
                files.push(file);
            }
            _ => {}
        }
    }
    // The last one counts.
    found.reverse();
    found
}

fn expand(words: Vec<String>, variables: &[(PathBuf, String, String)]) -> Vec<String> {
    let value = |name: &str| {
        let known = variables.iter().find(|(_, known, _)| known == name);
        known.map_or("", |(_, _, value)| value.as_str())
    };
    let mut expanded = Vec::new();
    for word in words {
        if let Some((front, rest)) = word.split_once("${")
            && let Some((name, end)) = rest.split_once('}')
        {
            expanded.push(format!("{front}{}{end}", value(name)));
        } else if let Some(name) = word.strip_prefix('$') {
            // Alone and without braces it is split into words.
            expanded.extend(value(name).split_whitespace().map(str::to_owned));
        } else {
            expanded.push(word);
        }
    }
    expanded
}

/// The hook that a command line of qemu-ga names; the last one counts.
pub fn hook_of(words: &[String]) -> Option<PathBuf> {
    words.iter().rev().find_map(|word| {
        let path = word
            .strip_prefix("--fsfreeze-hook")
            .map(|rest| rest.strip_prefix('=').unwrap_or(rest))
            .or_else(|| word.strip_prefix("-F"))?;
        Some(PathBuf::from(if path.is_empty() {
            DEFAULT_HOOK
        } else {
            path
        }))
    })
}

fn configured(root: &Root) -> Option<PathBuf> {
    let path = root.path(CONFIG);
    let text = read_bounded(&path, 1 << 16).ok()?;
    let mut file = UnitFile::default();
    file.add(&path, &String::from_utf8_lossy(&text));
    let line = file
        .lines
        .iter()
        .rev()
        .find(|line| line.section == "general" && line.key == "fsfreeze-hook")?;
    Some(PathBuf::from(&line.value))
}

fn hook_in_defaults(text: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| line.contains("-F") || line.contains("--fsfreeze-hook"))
}

/// The command line of the agent that runs, if one does.
fn running() -> Option<Vec<String>> {
    let found = process::scan(0, |seen| match seen.exe {
        Some(exe) => exe.file_name() == Some(OsStr::new("qemu-ga")),
        None => seen.comm() == "qemu-ga",
    })
    .ok()?;
    found.into_iter().find(|one| !one.is_zombie()).map(|one| {
        let words = one.cmdline.iter();
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    })
}

/// Whether a file is the wrapper that comes with the agent
/// (scripts/qemu-guest-agent/fsfreeze-hook): it runs what lies in
/// fsfreeze-hook.d, drops its exit codes and answers 0.
pub fn is_stock_wrapper(path: &Path) -> bool {
    let Ok(Some(found)) = place::text_of(path) else {
        return false;
    };
    let text = String::from_utf8_lossy(&found.text);
    text.contains("fsfreeze-hook.d") && text.contains("FSFREEZE_D")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(line: &str) -> Option<PathBuf> {
        hook_of(&words(line))
    }

    #[test]
    fn hooks_are_read_off_command_lines() {
        assert_eq!(hook("-/usr/sbin/qemu-ga"), None);
        let default = Some(PathBuf::from(DEFAULT_HOOK));
        assert_eq!(hook("-/usr/sbin/qemu-ga -F"), default);
        assert_eq!(hook("qemu-ga --fsfreeze-hook -d"), default);
        let own = Some(PathBuf::from("/etc/h"));
        assert_eq!(hook("qemu-ga -F/etc/h -v"), own);
        assert_eq!(hook("qemu-ga -F --fsfreeze-hook=/etc/h"), own);
        assert!(hook_in_defaults(
            "DAEMON_ARGS=\"-F/etc/qemu/fsfreeze-hook\"\n"
        ));
        assert!(!hook_in_defaults("# DAEMON_ARGS=-F\n"));
    }

    #[test]
    fn variables_of_the_unit_count() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path().to_path_buf());
        for (path, text) in [
            (
                "/etc/systemd/system/qemu-guest-agent.service",
                "[Service]\nEnvironmentFile=/etc/sysconfig/qemu-ga\nExecStart=/usr/bin/qemu-ga --method=virtio-serial ${FILTER} -F${FSFREEZE_HOOK_PATHNAME}\n",
            ),
            (
                "/etc/sysconfig/qemu-ga",
                "# comment\nFILTER=\"--allow-rpcs=a,b\"\nFSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/fsfreeze-hook\n",
            ),
            (DEFAULTS, "DAEMON_ARGS=-F\n"),
        ] {
            let path = root.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let agent = Agent::read(&root).unwrap();
        assert_eq!(agent.hook(), Some(Path::new("/etc/qemu-ga/fsfreeze-hook")));
        let (file, name) = agent.variable.unwrap();
        assert_eq!(name, "FSFREEZE_HOOK_PATHNAME");
        assert!(file.ends_with("etc/sysconfig/qemu-ga"));
        assert!(agent.unread);
    }
}
