//! Files from other hosts, fetched by the host's curl: https only, and no
//! redirection is followed unseen.

use crate::domino::tools::{Work, number};
use crate::error::{Error, Result, shown};
use crate::os::bounded::{Ended, Output, run_bounded};
use crate::os::spawn::Launch;
use std::time::Duration;

/// The most that is fetched, in bytes.
const LARGEST: usize = 4 << 20;

/// How long curl may take, from its start to its end.
const LIMIT: Duration = Duration::from_secs(90);

/// Where a menu lies on a host of which only the name is given.
const WELL_KNOWN: &str = "/.well-known/domino.cfg";

/// An https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    host: String,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(text: &str) -> std::result::Result<Address, String> {
        let refused = |why: &str| Err(format!("{}: {why}", shown(text.as_ref())));
        let scheme = text.get(..8).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("https://") {
            return refused("only https:// addresses are fetched");
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            return refused("an address holds no blanks, backslashes or bytes beyond ASCII");
        }
        let authority = text[8..].split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return refused("an address must not hold a user name or password");
        }
        if authority.is_empty() || authority.starts_with([':', '-']) {
            return refused("names no host");
        }
        Ok(Address {
            text: text.to_owned(),
            host: authority.to_ascii_lowercase(),
        })
    }

    /// Reads what `setup auto` is given: an address or a bare host name, to
    /// which the well-known place of a menu is added unless it names a file.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn of_menu(text: &str) -> std::result::Result<Address, String> {
        let mut whole = text.to_owned();
        if !whole.contains("://") {
            whole.insert_str(0, "https://");
        }
        if ![".cfg", ".json", ".txt"]
            .iter()
            .any(|end| whole.ends_with(end))
        {
            whole.truncate(whole.trim_end_matches('/').len());
            whole.push_str(WELL_KNOWN);
        }
        Address::parse(&whole)
    }

    /// The host, with a port if one is named.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The whole address.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path on the host, without query and fragment.
    pub fn path(&self) -> &str {
        let rest = &self.text[8 + self.host.len()..];
        rest.split(['?', '#']).next().unwrap_or_default()
    }
}

/// What a host answered.
#[derive(Debug)]
pub enum Answer {
    /// The file.
    File(Vec<u8>),
    /// It lies elsewhere.
    Moved(Address),
}

/// Asks a host for a file.
pub fn fetch(work: &mut Work, address: &Address) -> Result<Answer> {
    let mut launch = Launch::new("curl");
    // -q: what ~/.curlrc says must not undo what is asked for here.
    launch.args = [
        "-q",
        "--silent",
        "--show-error",
        "--globoff",
        "--proto",
        "=https",
        "--max-time",
        "60",
        "--write-out",
        "\n%{http_code} %{redirect_url}",
        "--",
        address.text(),
    ]
    .into_iter()
    .map(Into::into)
    .collect();
    launch.env = work.partition.inherited.clone();
    let mut output = Vec::new();
    let into = Output::Bytes {
        bound: LARGEST,
        into: &mut output,
    };
    let ended = run_bounded(launch, Some(LIMIT), Some(work.signals), into).map_err(|cause| {
        Error::Setup(format!(
            "{cause}; fetch {} by other means and name the local file",
            address.text()
        ))
    })?;
    let failed = |how: String| Error::Setup(format!("cannot fetch {}: {how}", address.text()));
    match ended {
        Ended::Exited(status) if status.success() => answer(output).map_err(failed),
        Ended::Exited(status) => Err(failed(format!("curl ended with {status}"))),
        Ended::TimedOut => Err(failed(format!(
            "curl took over {} seconds",
            LIMIT.as_secs()
        ))),
        Ended::Interrupted(signal) => Err(Error::Interrupted {
            signal: number(signal),
            state: "nothing was written".into(),
        }),
    }
}

/// Splits curl's output into the file and the line it was asked to add.
fn answer(mut output: Vec<u8>) -> std::result::Result<Answer, String> {
    let at = output.iter().rposition(|byte| *byte == b'\n');
    let at = at.ok_or("curl did not tell how the host answered")?;
    let told = String::from_utf8_lossy(output.get(at + 1..).unwrap_or_default()).into_owned();
    output.truncate(at);
    let (code, target) = told.split_once(' ').unwrap_or((&told, ""));
    match code {
        "200" => Ok(Answer::File(output)),
        _ if code.starts_with('3') && !target.is_empty() => {
            Address::parse(target).map(Answer::Moved)
        }
        _ => Err(format!("the host answered with HTTP code {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_addresses_are_taken() {
        let address = Address::parse("HTTPS://Cfg.Example:8443/a/b.cfg?x#y").unwrap();
        assert_eq!(address.host(), "cfg.example:8443");
        assert_eq!(address.path(), "/a/b.cfg");
        for text in [
            "http://cfg.example/a",
            "https://",
            "https:///a",
            "https://user:pw@cfg.example/",
            "https://cfg.example/a b",
            "https://good.example\\@evil.example/",
            "https://-x/",
            "https://cfg.example/\u{e4}",
            "file:///etc/passwd",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_menu_has_a_well_known_place() {
        for (text, expected) in [
            ("domino.lab", "https://domino.lab/.well-known/domino.cfg"),
            (
                "https://domino.lab/",
                "https://domino.lab/.well-known/domino.cfg",
            ),
            ("https://domino.lab/x.cfg", "https://domino.lab/x.cfg"),
            ("domino.lab/x.json", "https://domino.lab/x.json"),
        ] {
            assert_eq!(Address::of_menu(text).unwrap().text(), expected);
        }
        assert!(Address::of_menu("http://domino.lab").is_err());
    }

    #[test]
    fn answers_are_read_from_curls_last_line() {
        let read = |text: &str| answer(text.as_bytes().to_vec());
        assert!(matches!(read("a\nb\n\n200 "), Ok(Answer::File(f)) if f == b"a\nb\n"));
        assert!(matches!(
            read("x\n302 https://other.example/c.cfg"),
            Ok(Answer::Moved(to)) if to.host() == "other.example"
        ));
        assert!(read("\n301 http://other.example/").is_err());
        assert!(read("\n404 ").unwrap_err().contains("404"));
        assert!(read("").is_err());
    }
}
