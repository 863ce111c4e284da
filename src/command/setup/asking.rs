//! The questions of `setup` and where answers come from when nobody is asked.

use crate::error::{Error, Result};
use crate::os::terminal::Echo;
use crate::ui::{Ui, has_terminal};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Values by the names of their variables.
pub type Values = BTreeMap<String, Vec<u8>>;

/// Words that mark a variable whose value is not shown.
const SECRET: [&str; 4] = ["PASSWORD", "SECRET", "TOKEN", "BASE64"];

/// The variables that may stay without a value; others are asked for again.
const OPTIONAL: [&str; 3] = ["_TITLE", "_FIRSTNAME", "_MIDDLENAME"];

/// Asks, if there is a terminal to ask at.
pub struct Asker<'a> {
    ui: &'a mut Ui,
    on_terminal: bool,
    /// Take what is known without a question.
    pub yes: bool,
}

/// `--set NAME=VALUE`, taken apart.
pub fn given(arguments: &[OsString]) -> Result<Values> {
    let mut values = Values::new();
    for argument in arguments {
        let bytes = argument.as_bytes();
        let split = bytes.iter().position(|byte| *byte == b'=');
        let name = split.and_then(|at| bytes.get(..at));
        let name = name.filter(|name| crate::settings::scope::is_name(name));
        let (Some(name), Some(at)) = (name, split) else {
            // Not shown: what stands there may be a password.
            return Err(Error::Usage(
                "--set takes NAME=VALUE, NAME of letters, digits and '_'".into(),
            ));
        };
        let value = bytes.get(at + 1..).unwrap_or_default().to_vec();
        values.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    Ok(values)
}

impl<'a> Asker<'a> {
    /// Asks at the caller's terminal, if input and output are one.
    pub fn new(ui: &'a mut Ui, yes: bool) -> Asker<'a> {
        Asker {
            ui,
            on_terminal: has_terminal(),
            yes,
        }
    }

    /// Whether there is somebody to ask.
    pub fn on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// The output, between questions.
    pub fn ui(&mut self) -> &mut Ui {
        self.ui
    }

    fn line(&mut self, echo: Echo, prompt: &str) -> Result<Vec<u8>> {
        self.ui
            .ask(echo, prompt, "nothing was written")?
            .ok_or_else(|| Error::Setup("cancelled; nothing was written".into()))
    }

    /// Whether something may be done. Without a terminal only `--yes` allows
    /// it; `unless` says so, where it may.
    pub fn confirm(&mut self, question: &str, yes_allows: bool) -> Result<bool> {
        if self.yes && yes_allows {
            return Ok(true);
        }
        if !self.on_terminal {
            let hint = if yes_allows { "; --yes answers it" } else { "" };
            return Err(Error::Setup(format!(
                "there is no terminal to ask at: {question}{hint}"
            )));
        }
        let answer = self.line(Echo::On, &format!("{question} [y/N] "))?;
        let answer = answer.trim_ascii().to_ascii_lowercase();
        Ok(answer == b"y" || answer == b"yes")
    }

    /// Shows a menu and returns the place of what was chosen. One entry alone
    /// is chosen without a question.
    pub fn choose(&mut self, names: &[&str]) -> Result<usize> {
        if names.len() == 1 {
            return Ok(0);
        }
        if !self.on_terminal {
            return Err(Error::Setup(
                "there is no terminal to choose from the menu at; say which: 'setup json 1', a template or a menu's index"
                    .into(),
            ));
        }
        for (at, name) in names.iter().enumerate() {
            // A lone dot stands for an entry that is not to be seen.
            if *name != "." {
                let name = crate::error::shown(OsStr::new(name));
                self.ui.line(&format!("[{}] {name}", at + 1));
            }
        }
        loop {
            let prompt = format!("Choose 1 to {}, 0 to cancel: ", names.len());
            let answer = self.line(Echo::On, &prompt)?;
            let answer = std::str::from_utf8(answer.trim_ascii()).unwrap_or_default();
            match answer.parse::<usize>() {
                Ok(0) => return Err(Error::Setup("cancelled; nothing was written".into())),
                Ok(number) if number <= names.len() => return Ok(number - 1),
                _ => self.ui.line("There is no such entry"),
            }
        }
    }

    /// Values for variables: what was given, else what is asked for with the
    /// preset as an offer, else the preset.
    pub fn values(&mut self, names: &[String], given: &Values, presets: &Values) -> Result<Values> {
        let mut values = Values::new();
        let mut missing = Vec::new();
        for name in names {
            let preset = presets.get(name);
            let value = match (given.get(name), preset) {
                (Some(value), _) => value.clone(),
                (None, Some(preset)) if self.yes || !self.on_terminal => preset.clone(),
                (None, None) if !self.on_terminal => {
                    if !is_optional(name) {
                        missing.push(name.as_str());
                    }
                    continue;
                }
                (None, preset) => self.value(name, preset)?,
            };
            if let Some(control) = value.iter().find(|byte| byte.is_ascii_control()) {
                return Err(Error::Setup(format!(
                    "the value of {name} holds the control character {control:#04x}"
                )));
            }
            values.insert(name.clone(), value);
        }
        if missing.is_empty() {
            return Ok(values);
        }
        Err(Error::Setup(format!(
            "there is no terminal to ask at, and these variables have no value: {}; set them in the environment or with --set NAME=VALUE",
            missing.join(", ")
        )))
    }

    fn value(&mut self, name: &str, preset: Option<&Vec<u8>>) -> Result<Vec<u8>> {
        let label = name.strip_prefix("SERVERSETUP_").unwrap_or(name);
        if is_secret(name) {
            return self.secret(label, preset);
        }
        let offer = preset.map_or_else(String::new, |preset| {
            format!(" [{}]", crate::error::shown(OsStr::from_bytes(preset)))
        });
        loop {
            let typed = self.line(Echo::On, &format!("{label}{offer}: "))?;
            let typed = typed.trim_ascii();
            match (typed.is_empty(), preset) {
                (false, _) => return Ok(typed.to_vec()),
                (true, Some(preset)) => return Ok(preset.clone()),
                (true, None) if is_optional(name) => return Ok(Vec::new()),
                (true, None) => self.ui.line("A value is needed here"),
            }
        }
    }

    fn secret(&mut self, label: &str, preset: Option<&Vec<u8>>) -> Result<Vec<u8>> {
        let offer = if preset.is_some() { " [as preset]" } else { "" };
        loop {
            let typed = self.line(Echo::Off, &format!("{label} (not shown){offer}: "))?;
            match (typed.is_empty(), preset) {
                (true, Some(preset)) => return Ok(preset.clone()),
                (true, None) => self.ui.line("A value is needed here"),
                (false, _) => {
                    if self.line(Echo::Off, &format!("{label} (once more): "))? == typed {
                        return Ok(typed);
                    }
                    self.ui.line("The two differ");
                }
            }
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|word| name.contains(word))
}

fn is_optional(name: &str) -> bool {
    OPTIONAL.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_values_are_split_at_the_first_equals_sign() {
        let values = given(&["A=b=c".into(), "_X1=".into()]).unwrap();
        assert_eq!(values["A"], b"b=c");
        assert_eq!(values["_X1"], b"");
        for odd in ["A", "=x", "1A=x", "A-B=secret"] {
            let error = given(&[odd.into()]).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
