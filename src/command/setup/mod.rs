//! `setup`: prepares a One-Touch Setup, edits one, shows the log of the last.

mod asking;
mod sources;

use super::editing::{self, Editor, Subject};
use super::identity::Needs;
use super::loading;
use super::{Call, with_work};
use crate::cli::setup::{SetupArgs, SetupVerb};
use crate::domino::draft::Draft;
use crate::domino::one_touch::menu::Place;
use crate::domino::one_touch::prepare::{self, Storing, Template};
use crate::domino::one_touch::remote::Address;
use crate::domino::one_touch::template::{Form, fill, mentioned, variables};
use crate::domino::{Partition, Reporter};
use crate::error::{Error, Result, shown};
use crate::exit::Exit;
use crate::os::files;
use crate::ui::Ui;
use asking::{Asker, Values};
use sources::{Finder, Source};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The start script's own menu.
const GITHUB: &str = "https://raw.githubusercontent.com/nashcom/domino-startscript/main/domino.cfg";

/// A file with a `server.id` in it, which stands for the path of one.
const ID_INSIDE: &str = "SERVERSETUP_SERVER_ID_BASE64";
const ID_PATH: &str = "SERVERSETUP_SERVER_IDFILEPATH";

/// Runs a verb of this family.
pub fn run(call: &Call, verb: SetupVerb, ui: &mut Ui) -> Result<Exit> {
    let SetupVerb::Setup(arguments) = verb;
    let wanted = Wanted::of(&arguments)?;
    let given = asking::given(&arguments.set)?;
    let partition = match loading::here(loading::access(call, Needs::Rights, ui)?) {
        Ok(partition) => partition,
        Err(exit) => return Ok(exit),
    };
    partition.require_data()?;
    if let Wanted::Log { edit } = wanted {
        return log(&partition, edit, ui);
    }
    partition.require_writable_data()?;
    prepare::require_fresh(&partition)?;
    let mut setup = Setup {
        call,
        partition: &partition,
        given,
        asker: Asker::new(ui, arguments.yes),
    };
    setup.run(wanted)
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    EditOrMenu,
    /// Edit the file of this form, or make it from the first template.
    Edit(Form),
    Make(Template),
    Local(String),
    At(Place, String),
    /// The menu of this host's domain.
    OwnDomain(String),
    Log {
        edit: bool,
    },
}

impl Wanted {
    fn of(arguments: &SetupArgs) -> Result<Wanted> {
        let text = |word: &OsStr| {
            word.to_str()
                .map(str::to_owned)
                .ok_or_else(|| Error::Usage(format!("setup: '{}' is no UTF-8 text", shown(word))))
        };
        let Some(what) = &arguments.what else {
            return Ok(Wanted::EditOrMenu);
        };
        let what = text(what)?;
        let which: Vec<String> = arguments
            .which
            .iter()
            .map(|word| text(word))
            .collect::<Result<_>>()?;
        let which: Vec<&str> = which.iter().map(String::as_str).collect();
        let unusable = |problem: String| Error::Usage(format!("setup: {problem}"));
        let index = |words: &[&str]| match words {
            [] => Ok(String::new()),
            [index] => Ok((*index).to_owned()),
            [_, more, ..] => Err(unusable(format!("unexpected '{}'", shown(more.as_ref())))),
        };
        match (what.as_str(), which.as_slice()) {
            ("env", []) => Ok(Wanted::Edit(Form::Environment)),
            ("json", []) => Ok(Wanted::Edit(Form::Json)),
            ("env", ["1"]) => Ok(Wanted::Make(Template::FirstEnvironment)),
            ("env", ["2"]) => Ok(Wanted::Make(Template::AdditionalEnvironment)),
            ("json", ["1"]) => Ok(Wanted::Make(Template::FirstJson)),
            ("json", ["2"]) => Ok(Wanted::Make(Template::AdditionalJson)),
            ("env" | "json", _) => Err(unusable(format!(
                "'{what}' takes 1 (a domain's first server) or 2 (an additional one)"
            ))),
            ("log", []) => Ok(Wanted::Log { edit: false }),
            ("log", ["edit"]) => Ok(Wanted::Log { edit: true }),
            ("log", _) => Err(unusable("'log' takes nothing but 'edit'".into())),
            ("local", words) => Ok(Wanted::Local(index(words)?)),
            ("auto" | "remote", [] | ["."]) => Ok(Wanted::OwnDomain(String::new())),
            ("auto" | "remote", [".", words @ ..]) => Ok(Wanted::OwnDomain(index(words)?)),
            ("auto" | "remote", [host, words @ ..]) => {
                let address = Address::of_menu(host).map_err(unusable)?;
                Ok(Wanted::At(Place::Remote(address), index(words)?))
            }
            ("github", words) => {
                let address = Address::parse(GITHUB).map_err(unusable)?;
                Ok(Wanted::At(Place::Remote(address), index(words)?))
            }
            (place, words) if place.starts_with('/') || place.contains(":/") => {
                let place = if place.starts_with("file:") || place.starts_with('/') {
                    Place::parse(place)
                } else {
                    Address::of_menu(place).map(Place::Remote)
                };
                Ok(Wanted::At(place.map_err(unusable)?, index(words)?))
            }
            (other, _) => Err(unusable(format!(
                "unknown '{}'; 'rc_domino help setup' shows what there is",
                shown(other.as_ref())
            ))),
        }
    }
}

struct Setup<'a> {
    call: &'a Call,
    partition: &'a Partition,
    given: Values,
    asker: Asker<'a>,
}

impl<'a> Setup<'a> {
    fn run(&mut self, wanted: Wanted) -> Result<Exit> {
        let source = match wanted {
            Wanted::EditOrMenu => {
                let there = |form| self.file(form).exists();
                if let Some(form) = [Form::Json, Form::Environment]
                    .into_iter()
                    .find(|f| there(*f))
                {
                    return self.edit(form);
                }
                self.finder().local("")?
            }
            Wanted::Edit(form) if self.file(form).exists() => return self.edit(form),
            Wanted::Edit(Form::Json) => Source::of(Template::FirstJson, self.partition)?,
            Wanted::Edit(Form::Environment) => {
                Source::of(Template::FirstEnvironment, self.partition)?
            }
            Wanted::Make(template) => Source::of(template, self.partition)?,
            Wanted::Local(index) => self.finder().local(&index)?,
            Wanted::At(place, index) => self.finder().at(&place, &index)?,
            Wanted::OwnDomain(index) => {
                let host = sources::host_name(self.partition);
                let domain = host.split_once('.').map_or("", |(_, domain)| domain);
                if domain.is_empty() {
                    return Err(Error::Setup(format!(
                        "this host's name '{}' has no domain; name the host that has the menu: 'setup auto HOST'",
                        shown(host.as_ref())
                    )));
                }
                let address = Address::of_menu(domain).map_err(Error::Setup)?;
                self.finder().at(&Place::Remote(address), &index)?
            }
            Wanted::Log { .. } => return Ok(Exit::Done),
        };
        self.make(source)
    }

    fn finder(&mut self) -> Finder<'_, 'a> {
        Finder::new(self.partition, &mut self.asker)
    }

    fn file(&self, form: Form) -> PathBuf {
        match form {
            Form::Json => self.partition.settings.auto_config_json_file(),
            Form::Environment => self.partition.settings.auto_config_env_file(),
        }
    }

    /// Fills a template in and writes the file it makes.
    fn make(&mut self, source: Source) -> Result<Exit> {
        let file = self.file(source.form);
        let other = self.file(match source.form {
            Form::Json => Form::Environment,
            Form::Environment => Form::Json,
        });
        let replace = self.may_replace(&file, &other, source.foreign)?;
        self.asker.ui().line(&format!("Template: {}", source.name));
        let names = variables(source.form, &source.text);
        let values = self.values(&names, &source)?;
        let text = fill(source.form, &source.text, |name| {
            let name = std::str::from_utf8(name).ok()?;
            values.get(name).cloned()
        });
        check(self.partition, source.form, &file, &text, self.asker.ui())?;
        with_work(self.partition, self.asker.ui(), |work| {
            prepare::store(
                work,
                &Storing {
                    file: &file,
                    text: &text,
                    remove: vec![other],
                    replace,
                },
            )
        })?;
        self.asker.ui().line(&format!(
            "Wrote {}; 'rc_domino start' sets the server up with it",
            file.display()
        ));
        if names.is_empty() && source.form == Form::Environment && self.asker.on_terminal() {
            // Sample values are of no use as they stand.
            return self.edit(source.form);
        }
        Ok(Exit::Done)
    }

    /// Whether files that are there may go. What comes from another host
    /// overwrites nothing.
    fn may_replace(&mut self, file: &Path, other: &Path, foreign: bool) -> Result<bool> {
        let there: Vec<String> = [file, other]
            .into_iter()
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| path.display().to_string())
            .collect();
        if there.is_empty() {
            return Ok(false);
        }
        let there = there.join(" and ");
        if foreign {
            return Err(Error::Setup(format!(
                "{there} exists and is not overwritten by a file of another host; remove it first"
            )));
        }
        if !self
            .asker
            .confirm(&format!("Replace {there} by a new setup?"), true)?
        {
            return Err(Error::Setup(format!("{there} was left as it is")));
        }
        Ok(true)
    }

    fn values(&mut self, names: &[String], source: &Source) -> Result<Values> {
        let mut presets = sources::presets(self.call, self.partition, source)?;
        let mut given = self.given.clone();
        // An ID inside the file stands where its path would; there is nothing
        // to ask about it.
        if names.iter().any(|name| name == ID_PATH) {
            let inside = given.remove(ID_INSIDE).or(presets.remove(ID_INSIDE));
            if let Some(id) = inside {
                let id: Vec<u8> = id
                    .into_iter()
                    .filter(|b| !b.is_ascii_whitespace())
                    .collect();
                let bare = id.strip_prefix(b"@Base64:").unwrap_or(&id);
                given.insert(ID_PATH.into(), [b"@Base64:", bare].concat());
            }
        }
        let all = mentioned(source.form, &source.text);
        if let Some(unknown) = given.keys().find(|name| !all.contains(name)) {
            return Err(Error::Usage(format!(
                "--set {unknown}: this template has no such variable; it has: {}",
                all.join(", ")
            )));
        }
        let mut values = self.asker.values(names, &given, &presets)?;
        for name in all {
            if let Some(known) = given.get(&name).or(presets.get(&name)) {
                values.entry(name).or_insert_with(|| known.clone());
            }
        }
        Ok(values)
    }

    /// Lets the user edit a copy, which takes the file's place when it is right.
    fn edit(&mut self, form: Form) -> Result<Exit> {
        if !self.given.is_empty() {
            return Err(Error::Usage(format!(
                "--set fills in a template, but {} is there already; name the template: 'setup json 1'",
                self.file(form).display()
            )));
        }
        let partition = self.partition;
        let mut prepared = Prepared { partition, form };
        let file = self.file(form);
        let ui = self.asker.ui();
        editing::edit(&file, &editor(partition), &mut prepared, ui)?;
        Ok(Exit::Done)
    }
}

/// A prepared setup file that is edited. It holds passwords: no difference is
/// shown.
struct Prepared<'a> {
    partition: &'a Partition,
    form: Form,
}

impl Subject for Prepared<'_> {
    fn accept(&mut self, draft: &Draft, text: &[u8], ui: &mut Ui) -> Result<bool> {
        let checked = check(self.partition, self.form, draft.target(), text, ui);
        if let Err(fault) = &checked {
            ui.error(&fault.to_string());
        }
        Ok(checked.is_ok())
    }

    fn store(&mut self, draft: &Draft, text: &[u8], ui: &mut Ui) -> Result<()> {
        let storing = Storing {
            file: draft.target(),
            text,
            remove: Vec::new(),
            replace: true,
        };
        with_work(self.partition, ui, |work| {
            draft.require_unchanged()?;
            prepare::store(work, &storing)
        })?;
        ui.line(&format!("Wrote {}", draft.target().display()));
        Ok(())
    }
}

/// Checks a setup file that is or will be `file`; says what may be wrong.
fn check(partition: &Partition, form: Form, file: &Path, text: &[u8], ui: &mut Ui) -> Result<()> {
    let checked = prepare::check(partition, form, file, text)?;
    for note in &checked.notes {
        ui.line(note);
    }
    for doubt in &checked.doubts {
        ui.warn(&format!("{}: {doubt}", file.display()));
    }
    let template = partition.settings.auto_config_template_json_file();
    if form == Form::Environment && template.exists() {
        ui.warn(&format!(
            "{} is there too, and a start prefers it; remove it",
            template.display()
        ));
    }
    Ok(())
}

/// The site's editor.
fn editor(partition: &Partition) -> Editor {
    Editor {
        words: partition.settings.edit_command(),
        environment: partition.inherited.clone(),
    }
}

/// Shows or edits what Domino wrote about its setup.
fn log(partition: &Partition, edit_it: bool, ui: &mut Ui) -> Result<Exit> {
    let file = partition.support().join("autoconfigure.log");
    let mut log = match files::open_regular(&file) {
        Ok(log) => log,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Setup(format!(
                "there is no log of a One-Touch Setup ({}); the server writes it when it is set up",
                file.display()
            )));
        }
        Err(cause) => return Err(Error::file("read", file)(cause)),
    };
    if edit_it {
        editor(partition).run(&file, ui)?;
        return Ok(Exit::Done);
    }
    ui.stream(&mut log).map_err(Error::file("read", file))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> std::result::Result<Wanted, String> {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let arguments = SetupArgs {
            what: words.next().map(Into::into),
            which: words.map(Into::into).collect(),
            set: Vec::new(),
            yes: false,
        };
        Wanted::of(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_originals_arguments_are_understood() {
        assert_eq!(wanted(""), Ok(Wanted::EditOrMenu));
        assert_eq!(wanted("json"), Ok(Wanted::Edit(Form::Json)));
        assert_eq!(
            wanted("env 2"),
            Ok(Wanted::Make(Template::AdditionalEnvironment))
        );
        assert_eq!(wanted("log edit"), Ok(Wanted::Log { edit: true }));
        assert_eq!(wanted("local /v14"), Ok(Wanted::Local("/v14".into())));
        let at = |text: &str| match wanted(text) {
            Ok(Wanted::At(Place::Remote(address), index)) => {
                format!("{} {index}", address.text())
            }
            Ok(Wanted::At(Place::Local(path), index)) => format!("{} {index}", path.display()),
            other => format!("{other:?}"),
        };
        let known = "https://domino.lab/.well-known/domino.cfg ";
        assert_eq!(at("https://domino.lab"), known);
        assert_eq!(at("auto domino.lab /x"), format!("{known}/x"));
        assert_eq!(at("https://a.lab/b.json"), "https://a.lab/b.json ");
        assert_eq!(at("file:/a.cfg /x"), "/a.cfg /x");
        assert_eq!(at("github"), format!("{GITHUB} "));
        assert_eq!(wanted("auto . /x"), Ok(Wanted::OwnDomain("/x".into())));
    }

    #[test]
    fn what_is_none_is_refused() {
        for line in [
            "frob",
            "json 3",
            "env 1 2",
            "log show",
            "local a b",
            "http://a/b.json",
        ] {
            let error = wanted(line).unwrap_err();
            assert!(
                error.contains("setup") || error.contains("https"),
                "{error}"
            );
        }
    }
}
