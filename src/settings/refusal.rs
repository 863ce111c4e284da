//! What the built-in reader does not evaluate, in words.

use std::fmt;

/// Why a file was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The line, counted from 1. Of an open quote it is the one that opens it.
    pub line: usize,
    /// What stands there.
    pub what: Construct,
}

/// What the reader leaves to bash, or what no shell accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Construct {
    /// A command other than an assignment, `export NAME…` or `unset NAME…`.
    Command(Vec<u8>),
    /// `$(…)` or backticks.
    CommandSubstitution,
    /// `$[…]`.
    Arithmetic,
    /// `NAME=(…)`.
    Array,
    /// A `~` that a shell may replace by a home directory.
    Tilde,
    /// `$1`, `$?`, `$$` and their like.
    SpecialParameter,
    /// `${…}` in a form other than `${NAME}` and its `-`, `=`, `+` defaults.
    Expansion,
    /// `$'…'` or `$"…"`.
    DollarQuote,
    /// A character outside quotes that means something to a shell.
    Operator(u8),
    /// A variable that bash itself keeps.
    ShellVariable(Vec<u8>),
    /// A line that ends in CR LF, as files from Windows do.
    CarriageReturn,
    /// A byte that bash cannot hold or uses for itself: 0, 1 and 127.
    ControlByte(u8),
    /// A quote that is never closed: no shell accepts it.
    OpenQuote(u8),
    /// A `${` that is never closed: no shell accepts it.
    OpenBrace,
    /// A backslash in a place where shells differ.
    Backslash,
}

impl Refusal {
    /// Whether bash would refuse the file as well.
    pub fn is_syntax_error(&self) -> bool {
        matches!(self.what, Construct::OpenQuote(_) | Construct::OpenBrace)
    }
}

impl fmt::Display for Construct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Construct::Command(word) => {
                write!(f, "the command '{}'", String::from_utf8_lossy(word))
            }
            Construct::CommandSubstitution => f.write_str("a command substitution"),
            Construct::Arithmetic => f.write_str("an arithmetic expansion"),
            Construct::Array => f.write_str("an array"),
            Construct::Tilde => f.write_str("a tilde that may stand for a home directory"),
            Construct::SpecialParameter => f.write_str("a special parameter such as $1 or $?"),
            Construct::Expansion => f.write_str("a ${…} expansion beyond ${NAME:-default}"),
            Construct::DollarQuote => f.write_str("a $'…' or $\"…\" string"),
            Construct::Operator(byte) => write!(f, "an unquoted '{}'", byte.escape_ascii()),
            Construct::ShellVariable(name) => write!(
                f,
                "the variable {}, which bash itself keeps",
                String::from_utf8_lossy(name)
            ),
            Construct::CarriageReturn => f.write_str("a Windows line end (CR LF)"),
            Construct::ControlByte(byte) => write!(f, "the control byte {byte:#04x}"),
            Construct::OpenQuote(quote) => write!(
                f,
                "a {} quote that is never closed",
                if *quote == b'"' { "double" } else { "single" }
            ),
            Construct::OpenBrace => f.write_str("a ${ that is never closed"),
            Construct::Backslash => f.write_str("a backslash in an odd place"),
        }
    }
}
