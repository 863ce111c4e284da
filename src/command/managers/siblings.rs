//! This program run for other users' servers, as processes of their own: each
//! takes the rights, the login and the service manager that are its server's.

use super::super::{Call, switch};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::crew::{Together, Voice, run_in_turn, run_together};
use crate::os::signals::{Signal, Signals};
use crate::os::spawn::Launch;
use crate::ui::Ui;
use std::ffi::OsString;
use std::path::PathBuf;

/// How such runs are begun.
pub struct Siblings<'a> {
    call: &'a Call,
    program: PathBuf,
    signals: Signals,
    width: usize,
    tied: bool,
    aside: bool,
}

/// What one of them answered.
#[derive(Debug)]
pub struct Answer {
    /// Whose server it was for.
    pub user: OsString,
    /// Its exit code.
    pub exit: Exit,
    /// What it wrote to standard output, where it was asked and not shown.
    pub said: Vec<u8>,
}

/// How they go beside each other.
type Run =
    fn(Vec<Launch>, &Signals, &mut dyn FnMut(usize, Voice, &[u8])) -> std::io::Result<Together>;

/// What became of runs that took place together.
pub struct Done {
    /// An answer for each user, in their order.
    pub answers: Vec<Answer>,
    /// The signal that asked for an end meanwhile.
    pub signal: Option<Signal>,
}

impl Siblings<'_> {
    /// For servers of the same host as this call's; `users` are all that will
    /// be named. Signals are held back as long as this lives.
    pub fn of<'a>(call: &'a Call, users: &[OsString]) -> Result<Siblings<'a>> {
        Ok(Siblings {
            width: width(users),
            tied: false,
            aside: false,
            call,
            program: switch::own_program()?,
            signals: Signals::block().map_err(Error::system("hold back signals"))?,
        })
    }

    /// The same, but each is asked to end when this process is killed.
    pub fn tied(self) -> Self {
        Self { tied: true, ..self }
    }

    /// The same, with all that is shown on standard error: standard output is
    /// for the answer of the whole.
    pub fn speaking_aside(self, aside: bool) -> Self {
        Self { aside, ..self }
    }

    /// A verb for one user's server.
    pub fn launch(&self, user: &OsString, verb: &[OsString]) -> Launch {
        let mut launch = switch::again(&self.program, self.call, user);
        if self.tied {
            launch.args.push("--tied".into());
        }
        launch.args.extend(verb.iter().cloned());
        launch
    }

    /// The same verb for all of them at the same time; each line is shown when
    /// it comes, behind the name of its server's user.
    pub fn show(&self, users: &[OsString], verb: &[OsString], ui: &mut Ui) -> Result<Done> {
        self.show_by(run_together, users, verb, ui)
    }

    /// The same for a verb of two halves: the second ones follow when all first
    /// ones are over, one after the other.
    pub fn show_in_turn(&self, users: &[OsString], verb: &[OsString], ui: &mut Ui) -> Result<Done> {
        self.show_by(run_in_turn, users, verb, ui)
    }

    fn show_by(
        &self,
        run: Run,
        users: &[OsString],
        verb: &[OsString],
        ui: &mut Ui,
    ) -> Result<Done> {
        let names = column(users, self.width);
        self.together(run, users, verb, &mut |place, voice, line| {
            let name = names.get(place).map_or("", String::as_str);
            let text = [name.as_bytes(), b"  ", line, b"\n"].concat();
            match voice {
                Voice::Out if !self.aside => ui.bytes(&text),
                _ => ui.aside_bytes(&text),
            }
        })
    }

    /// The same, with standard output kept for the caller.
    pub fn ask(&self, users: &[OsString], verb: &[OsString], ui: &mut Ui) -> Result<Vec<Answer>> {
        let names = column(users, self.width);
        let mut said = vec![Vec::new(); users.len()];
        let mut done =
            self.together(
                run_together,
                users,
                verb,
                &mut |place, voice, line| match voice {
                    Voice::Out => {
                        if let Some(text) = said.get_mut(place) {
                            text.extend_from_slice(line);
                            text.push(b'\n');
                        }
                    }
                    Voice::Err => {
                        let name = names.get(place).map_or("", String::as_str);
                        ui.aside_bytes(&[name.as_bytes(), b"  ", line, b"\n"].concat());
                    }
                },
            )?;
        for (answer, text) in done.answers.iter_mut().zip(said) {
            answer.said = text;
        }
        Ok(done.answers)
    }

    fn together(
        &self,
        run: Run,
        users: &[OsString],
        verb: &[OsString],
        said: &mut dyn FnMut(usize, Voice, &[u8]),
    ) -> Result<Done> {
        let launches = users.iter().map(|user| self.launch(user, verb)).collect();
        let together =
            run(launches, &self.signals, said).map_err(Error::system("watch what was started"))?;
        let mut answers = Vec::new();
        for (place, (user, end)) in users.iter().zip(together.ends).enumerate() {
            // One that could not be run must not hide what the others say.
            let exit = end.map_or_else(
                |cause| {
                    said(place, Voice::Err, cause.to_string().as_bytes());
                    Exit::Failed
                },
                switch::exit_of,
            );
            answers.push(Answer {
                user: user.clone(),
                exit,
                said: Vec::new(),
            });
        }
        Ok(Done {
            answers,
            signal: together.signal,
        })
    }

    /// The signal that has come and that nobody was told of, if one has.
    pub fn pending(&self) -> Option<Signal> {
        self.signals.pending()
    }
}

/// The width of the longest of these names, as they are shown.
pub fn width(names: &[OsString]) -> usize {
    let widths = names.iter().map(|name| shown(name).chars().count());
    widths.max().unwrap_or(0)
}

/// Names as they are shown, filled up to a width.
pub fn column(names: &[OsString], width: usize) -> Vec<String> {
    let fill = |name: &OsString| format!("{:<width$}", shown(name));
    names.iter().map(fill).collect()
}
