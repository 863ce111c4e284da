//! `log` and `debuglog`: a log in a pager or an editor.

use super::super::switch::run_in_front;
use crate::domino::Partition;
use crate::domino::server_log::ServerLog;
use crate::error::Result;
use crate::exit::Exit;
use crate::os::files::is_executable;
use crate::os::spawn::Launch;
use crate::settings::kind::words;
use crate::ui::Ui;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `log [PAGER…]`.
pub fn log(partition: &Partition, pager: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let log = ServerLog::shown(partition);
    // Said by us: what a program says of a file it cannot open differs.
    log.tail(0)?;
    let command = chosen(pager)
        .or_else(|| partition.settings.show_log_command.value.clone())
        .unwrap_or_else(|| {
            if is_in_path(partition, "less") {
                vec!["less".into()]
            } else {
                partition.settings.edit_command()
            }
        });
    show(partition, command, log.path(), ui)
}

/// `debuglog [EDITOR]`.
pub fn debug_log(partition: &Partition, editor: &[OsString], ui: &mut Ui) -> Result<Exit> {
    let Some(file) = &partition.settings.debug_file.value else {
        ui.line("There is no debug log: DOMINO_DEBUG_FILE is not set");
        return Ok(Exit::Done);
    };
    if !file.exists() {
        ui.line(&format!(
            "There is no debug log yet: {}; DOMINO_DEBUG_MODE=yes has it written",
            file.display()
        ));
        return Ok(Exit::Done);
    }
    let command = chosen(editor).unwrap_or_else(|| partition.settings.edit_command());
    show(partition, command, file, ui)
}

/// A command from the command line. Given as one word it may hold blanks, as
/// the original let the shell split it.
fn chosen(given: &[OsString]) -> Option<Vec<OsString>> {
    let command = match given {
        [one] if !Path::new(one).exists() => {
            words(one.as_bytes()).unwrap_or_else(|| vec![one.clone()])
        }
        several => several.to_vec(),
    };
    (!command.is_empty()).then_some(command)
}

/// Runs a program on a file, with this terminal and the caller's environment:
/// Domino's libraries are nothing to a pager.
fn show(partition: &Partition, command: Vec<OsString>, file: &Path, ui: &mut Ui) -> Result<Exit> {
    let mut command = command.into_iter();
    let mut launch = Launch::new(command.next().unwrap_or_else(|| "less".into()));
    launch.args = command.chain([file.into()]).collect();
    launch.env = partition.inherited.clone();
    run_in_front(launch, ui)
}

fn is_in_path(partition: &Partition, program: &str) -> bool {
    let path = partition
        .inherited
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or(OsStr::new("/usr/bin:/bin"), |(_, path)| path);
    std::env::split_paths(path).any(|directory| {
        let file = directory.join(program);
        file.is_file() && is_executable(&file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_come_in_one_word_or_several() {
        let words = |given: &[&str]| {
            let given: Vec<OsString> = given.iter().map(OsString::from).collect();
            chosen(&given)
        };
        assert_eq!(words(&[]), None);
        assert_eq!(words(&[""]), None);
        assert_eq!(words(&["tail -n 5"]).unwrap(), ["tail", "-n", "5"]);
        assert_eq!(
            words(&["grep", "-i", "a b"]).unwrap(),
            ["grep", "-i", "a b"]
        );
    }
}
