//! Editing a file by way of a copy, for every verb that lets an editor at one:
//! whatever happens, what was typed is not lost.

use super::switch;
use crate::domino::draft::Draft;
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::spawn::Launch;
use crate::os::terminal::Echo;
use crate::ui::{Ui, has_terminal};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

/// The editor with its arguments, and what it is run with.
pub struct Editor {
    /// The program and its first arguments.
    pub words: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Editor {
    /// Runs it on a file, with this terminal.
    pub fn run(&self, file: &Path, ui: &mut Ui) -> Result<()> {
        let mut words = self.words.iter().cloned();
        let mut launch = Launch::new(words.next().unwrap_or_else(|| "vi".into()));
        launch.args = words.chain([file.into()]).collect();
        launch.env = self.environment.clone();
        let program = shown(&launch.program);
        match switch::run_in_front(launch, ui) {
            Err(Error::Program { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                Err(Error::Refused {
                    message: format!(
                        "there is no editor {program} here; EDIT_COMMAND in the configuration or EDITOR names another"
                    ),
                    exit: Exit::Failed,
                })
            }
            Err(error) => Err(error),
            Ok(Exit::Done) => Ok(()),
            Ok(exit) => Err(Error::Refused {
                message: format!("the editor {program} ended with code {}", exit.code()),
                exit: Exit::Failed,
            }),
        }
    }
}

/// What is edited: how a text is checked and where it goes.
pub trait Subject {
    /// Whether this text may take the file's place; says why not.
    fn accept(&mut self, draft: &Draft, text: &[u8], ui: &mut Ui) -> Result<bool>;

    /// Puts the text in the file's place.
    fn store(&mut self, draft: &Draft, text: &[u8], ui: &mut Ui) -> Result<()>;
}

/// Edits a file; true when it was replaced. Where it was not, the copy is
/// kept and its place named, unless nothing was changed in it.
pub fn edit(path: &Path, editor: &Editor, subject: &mut dyn Subject, ui: &mut Ui) -> Result<bool> {
    let draft = Draft::begin(path)?;
    loop {
        let edited = editor.run(draft.copy(), ui);
        let text = match (draft.text(), edited) {
            (Ok(text), Ok(())) => text,
            (Ok(text), Err(error)) if text == draft.before() => {
                draft.discard();
                return Err(error);
            }
            (Err(error), _) if !draft.copy().exists() => {
                draft.discard();
                return Err(error);
            }
            (_, Err(error)) | (Err(error), _) => return Err(draft.kept(&error)),
        };
        if text == draft.before() {
            draft.discard();
            ui.line(&format!("{}: nothing was changed", path.display()));
            return Ok(false);
        }
        let accepted = subject
            .accept(&draft, &text, ui)
            .map_err(|error| draft.kept(&error))?;
        if accepted {
            subject
                .store(&draft, &text, ui)
                .map_err(|error| draft.kept(&error))?;
            draft.discard();
            return Ok(true);
        }
        let target = draft.target().display();
        let state = format!("{target} was not replaced; {}", draft.place());
        let again = has_terminal()
            && ui
                .ask(Echo::On, "Edit it again? [Y/n] ", &state)?
                .is_some_and(|answer| !answer.trim_ascii().to_ascii_lowercase().starts_with(b"n"));
        if !again {
            return Err(Error::Refused {
                message: state,
                exit: Exit::Failed,
            });
        }
    }
}
