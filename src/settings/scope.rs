//! The variables a configuration file sees and changes, as a shell keeps them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One shell variable.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Variable {
    /// The value; `None` for a name that was only declared (`export NAME`).
    pub value: Option<Vec<u8>>,
    /// Whether programs that are started see it.
    pub exported: bool,
}

/// What one command of a configuration file did to one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable's name.
    pub name: Vec<u8>,
    /// The line on which the command begins, counted from 1.
    pub line: usize,
    /// The variable afterwards; `None` when it was unset.
    pub state: Option<Variable>,
}

/// All variables by name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    variables: BTreeMap<Vec<u8>, Variable>,
}

impl Scope {
    /// The scope in which a shell with this environment starts: everything
    /// that is named like a variable, exported. A repeated name's last value
    /// counts, as in bash.
    pub fn from_environment(environment: &[(OsString, OsString)]) -> Scope {
        let mut scope = Scope::default();
        for (name, value) in environment {
            if is_name(name.as_bytes()) {
                let variable = Variable {
                    value: Some(value.as_bytes().to_vec()),
                    exported: true,
                };
                scope.put(name.as_bytes(), Some(variable));
            }
        }
        scope
    }

    /// The variable of this name, declared or set.
    pub fn variable(&self, name: &[u8]) -> Option<&Variable> {
        self.variables.get(name)
    }

    /// The value of this name; `None` when it is not set.
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.variables.get(name)?.value.as_deref()
    }

    /// The value of this name where it is set and not empty.
    pub fn non_empty(&self, name: &str) -> Option<&OsStr> {
        self.value(name.as_bytes())
            .filter(|value| !value.is_empty())
            .map(OsStr::from_bytes)
    }

    /// Gives the variable this state, or removes it.
    pub fn put(&mut self, name: &[u8], state: Option<Variable>) {
        match state {
            Some(variable) => self.variables.insert(name.to_vec(), variable),
            None => self.variables.remove(name),
        };
    }

    /// Sets a value; whether the variable is exported stays as it was.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let variable = self.variables.entry(name.into()).or_default();
        variable.value = Some(value.to_vec());
    }

    /// Sets a value and exports it.
    pub fn export(&mut self, name: &str, value: &[u8]) {
        self.set(name, value);
        if let Some(variable) = self.variables.get_mut(name.as_bytes()) {
            variable.exported = true;
        }
    }

    /// Takes over what a file did.
    pub fn apply(&mut self, assignments: &[Assignment]) {
        for assignment in assignments {
            self.put(&assignment.name, assignment.state.clone());
        }
    }

    /// Every variable, in the order of the names' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Variable)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.as_slice(), variable))
    }

    /// The environment a program started from this scope gets.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        self.iter()
            .filter(|(_, variable)| variable.exported)
            .filter_map(|(name, variable)| {
                let value = OsString::from_vec(variable.value.clone()?);
                Some((OsString::from_vec(name.to_vec()), value))
            })
            .collect()
    }
}

/// Whether these bytes can name a shell variable.
pub fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && name_length(bytes) == bytes.len()
}

/// How many bytes at the front form a variable's name; 0 for none.
pub(super) fn name_length(bytes: &[u8]) -> usize {
    let starts = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    if !bytes.first().is_some_and(starts) {
        return 0;
    }
    bytes
        .iter()
        .take_while(|byte| starts(byte) || byte.is_ascii_digit())
        .count()
}

/// Whether bash itself gives this variable its value or acts on a change of
/// it (Bash Reference Manual, "Bash Variables"). Such names are left to bash.
pub(super) fn belongs_to_bash(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 36] = [
        b"_",
        b"BASH",
        b"BASHOPTS",
        b"BASHPID",
        b"CHILD_MAX",
        b"DIRSTACK",
        b"EPOCHREALTIME",
        b"EPOCHSECONDS",
        b"EUID",
        b"EXECIGNORE",
        b"FUNCNAME",
        b"FUNCNEST",
        b"GLOBIGNORE",
        b"GLOBSORT",
        b"GROUPS",
        b"IFS",
        b"IGNOREEOF",
        b"LINENO",
        b"MAILCHECK",
        b"OLDPWD",
        b"OPTARG",
        b"OPTERR",
        b"OPTIND",
        b"PIPESTATUS",
        b"POSIXLY_CORRECT",
        b"POSIX_PEDANTIC",
        b"PPID",
        b"PS4",
        b"PWD",
        b"RANDOM",
        b"SECONDS",
        b"SHELLOPTS",
        b"SHLVL",
        b"SRANDOM",
        b"UID",
        b"histchars",
    ];
    const PREFIXES: [&[u8]; 5] = [b"BASH_", b"COMP_", b"COPROC", b"HIST", b"READLINE_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether bash gives this variable a value of its own where the environment
/// has none.
pub(super) fn has_default_in_bash(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 7] = [
        b"HOSTNAME",
        b"HOSTTYPE",
        b"MACHTYPE",
        b"OSTYPE",
        b"PATH",
        b"SHELL",
        b"TERM",
    ];
    NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_shell_variables() {
        assert!(is_name(b"DOMINO_3RD_PARTY_BIN_DIRS") && is_name(b"_a9"));
        assert!(!is_name(b"") && !is_name(b"9a") && !is_name(b"a-b") && !is_name(b"\xc3\xa4"));
    }

    #[test]
    fn setting_keeps_the_export_and_unsetting_loses_it() {
        let mut scope = Scope::from_environment(&[
            ("A".into(), "1".into()),
            ("A".into(), "2".into()),
            ("a%b".into(), "x".into()),
        ]);
        assert_eq!(scope.value(b"A"), Some(&b"2"[..]));
        scope.set("A", b"3");
        assert_eq!(scope.environment(), [("A".into(), "3".into())]);
        scope.put(b"A", None);
        scope.set("A", b"4");
        assert!(scope.environment().is_empty());
        assert_eq!(scope.non_empty("A"), Some(OsStr::new("4")));
    }
}
