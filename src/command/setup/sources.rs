//! Where `setup` gets templates and menus from: this host, others, itself.

use super::asking::{Asker, Values};
use crate::command::{Call, with_work};
use crate::domino::Partition;
use crate::domino::one_touch::menu::{self, Entry, Leads, Place};
use crate::domino::one_touch::prepare::{self, Template};
use crate::domino::one_touch::remote::{self, Address, Answer};
use crate::domino::one_touch::template::Form;
use crate::error::{Error, Result, shown};
use crate::os::bounded::{Ended, Output, run_bounded};
use crate::os::spawn::Launch;
use crate::settings::scope::Scope;
use crate::settings::shell_config::evaluate;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How often a host may send the caller elsewhere, and how deep menus nest.
const MOST_STEPS: usize = 8;

/// A template that was found.
#[derive(Debug)]
pub struct Source {
    /// What kind of file it makes.
    pub form: Form,
    /// Its text.
    pub text: Vec<u8>,
    /// Where it is from, for messages.
    pub name: String,
    /// Whether another host, or a menu of one, had a say in it.
    pub foreign: bool,
    /// Presets that came along with it.
    pub presets: Values,
}

impl Source {
    /// A built-in template, or the site's own version of it.
    pub fn of(template: Template, partition: &Partition) -> Result<Source> {
        let (text, name) = match template.installed(&partition.root) {
            Some(path) => (prepare::read(&path)?, path.display().to_string()),
            None => built_in(template),
        };
        Ok(Source {
            form: template.form(),
            text,
            name,
            foreign: false,
            presets: Values::new(),
        })
    }
}

fn built_in(template: Template) -> (Vec<u8>, String) {
    let name = format!("the built-in template '{}'", template.title());
    (template.text().as_bytes().to_vec(), name)
}

/// Finds templates, asking before it turns to another host.
pub struct Finder<'a, 'ui> {
    pub(super) partition: &'a Partition,
    pub(super) asker: &'a mut Asker<'ui>,
    /// Hosts that may be asked.
    allowed: BTreeSet<String>,
    foreign: bool,
}

impl<'a, 'ui> Finder<'a, 'ui> {
    /// Knows no host yet.
    pub fn new(partition: &'a Partition, asker: &'a mut Asker<'ui>) -> Finder<'a, 'ui> {
        Finder {
            partition,
            asker,
            allowed: BTreeSet::new(),
            foreign: false,
        }
    }

    /// The file a caller named: a JSON template, or a menu to choose from.
    pub fn at(&mut self, place: &Place, index: &str) -> Result<Source> {
        if !place.is_json() {
            return self.menu(Some(place), index);
        }
        self.template(Form::Json, place)
    }

    /// The menu of this host: the site's, else the built-in one.
    pub fn local(&mut self, index: &str) -> Result<Source> {
        let file = self.partition.root.path("/etc/sysconfig/domino.cfg");
        if file.exists() {
            return self.menu(Some(&Place::Local(file)), index);
        }
        if !index.is_empty() {
            return Err(Error::Setup(format!(
                "there is no {} that could hold the menu '{}'",
                file.display(),
                shown(index.as_ref())
            )));
        }
        let templates = menu::built_in();
        let names: Vec<&str> = templates.iter().map(|(name, _)| *name).collect();
        let chosen = self.asker.choose(&names)?;
        Source::of(templates[chosen].1, self.partition)
    }

    fn menu(&mut self, first: Option<&Place>, index: &str) -> Result<Source> {
        let mut place = first.cloned();
        let mut index = index.to_owned();
        let mut file: Option<(Vec<u8>, String)> = None;
        for _ in 0..MOST_STEPS {
            if let Some(place) = place.take() {
                file = Some(self.read(&place)?);
            }
            let Some((text, name)) = &file else { break };
            let entries = menu::read(text, &index)
                .map_err(|problem| Error::Setup(format!("{name}: {problem}")))?;
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let chosen = self.asker.choose(&names)?;
            let Some(entry) = entries.get(chosen) else {
                break;
            };
            let parse = |text: &str| {
                Place::parse(text).map_err(|problem| Error::Setup(format!("{name}: {problem}")))
            };
            match entry.leads() {
                Leads::Menu(url, inner) => {
                    place = url.map(parse).transpose()?;
                    index = inner.to_owned();
                }
                Leads::Json(json, presets) => {
                    let presets = presets.map(parse).transpose()?;
                    let mut source = self.template(Form::Json, &parse(json)?)?;
                    if let Some(place) = presets {
                        let (text, name) = self.read(&place)?;
                        source.presets = values_of(&text, &name)?;
                        source.foreign = self.foreign;
                    }
                    self.remark(entry);
                    return Ok(source);
                }
                Leads::Environment(file) => {
                    let source = self.template(Form::Environment, &parse(file)?)?;
                    self.remark(entry);
                    return Ok(source);
                }
                Leads::Nowhere => {
                    return Err(Error::Setup(format!(
                        "{name}: entry '{}' names neither oneTouchJSON nor oneTouchENV",
                        shown(entry.name.as_ref())
                    )));
                }
            }
        }
        Err(Error::Setup(
            "the menus lead from one to the next without an end".into(),
        ))
    }

    fn remark(&mut self, entry: &Entry) {
        if entry.dxl.as_deref().is_some_and(|dxl| !dxl.is_empty()) {
            let text = "the entry's DXL file is not used: One-Touch Setup takes none";
            crate::domino::Reporter::warn(self.asker.ui(), text);
        }
        if let Some(info) = entry.info.as_deref().filter(|info| !info.is_empty()) {
            self.asker.ui().line(&shown(OsStr::new(info)));
        }
    }

    fn template(&mut self, form: Form, place: &Place) -> Result<Source> {
        let (text, name) = self.read(place)?;
        Ok(Source {
            form,
            text,
            name,
            foreign: self.foreign,
            presets: Values::new(),
        })
    }

    fn read(&mut self, place: &Place) -> Result<(Vec<u8>, String)> {
        match place {
            Place::Local(path) => self.read_local(path),
            Place::Remote(address) => self.fetch(address),
        }
    }

    fn read_local(&mut self, path: &Path) -> Result<(Vec<u8>, String)> {
        match (path.exists(), Template::in_place_of(path)) {
            (false, Some(template)) => Ok(match template.installed(&self.partition.root) {
                Some(path) => (prepare::read(&path)?, path.display().to_string()),
                None => built_in(template),
            }),
            _ => Ok((prepare::read(path)?, path.display().to_string())),
        }
    }

    /// Fetches a file, naming each host before it is asked.
    fn fetch(&mut self, address: &Address) -> Result<(Vec<u8>, String)> {
        let mut address = address.clone();
        for _ in 0..MOST_STEPS {
            self.allow(&address)?;
            self.foreign = true;
            let answer = with_work(self.partition, self.asker.ui(), |work| {
                remote::fetch(work, &address)
            })?;
            match answer {
                Answer::File(text) => return Ok((text, address.text().to_owned())),
                Answer::Moved(to) => address = to,
            }
        }
        Err(Error::Setup(format!(
            "{} was redirected {MOST_STEPS} times",
            address.text()
        )))
    }

    /// `--yes` stands for the host that the caller named, and no other.
    fn allow(&mut self, address: &Address) -> Result<()> {
        let host = address.host().to_owned();
        if self.allowed.contains(&host) {
            return Ok(());
        }
        let named_by_caller = self.allowed.is_empty();
        let question = format!("Fetch {} from host {host}?", address.text());
        if !self.asker.confirm(&question, named_by_caller)? {
            return Err(Error::Setup("cancelled; nothing was written".into()));
        }
        self.asker
            .ui()
            .line(&format!("Fetching {}", address.text()));
        self.allowed.insert(host);
        Ok(())
    }
}

/// The variables of an environment file, read as data: nothing is executed.
pub fn values_of(text: &[u8], name: &str) -> Result<Values> {
    let mut scope = Scope::default();
    let assigned = evaluate(text, &scope).map_err(|refusal| {
        Error::Setup(format!(
            "{name}: line {}: {}; only plain NAME=VALUE lines are taken",
            refusal.line, refusal.what
        ))
    })?;
    scope.apply(&assigned);
    Ok(scope
        .iter()
        .filter_map(|(name, variable)| {
            let value = variable.value.clone()?;
            Some((String::from_utf8_lossy(name).into_owned(), value))
        })
        .collect())
}

/// What is known before anybody is asked: this host's name and places, the
/// site's file of defaults, what came with the template, the environment; the
/// later wins.
pub fn presets(call: &Call, partition: &Partition, source: &Source) -> Result<Values> {
    let mut presets = Values::new();
    let host = host_name(partition);
    for name in ["SERVERSETUP_NETWORK_HOSTNAME", "SERVERSETUP_SERVER_NAME"] {
        if !host.is_empty() {
            presets.insert(name.to_owned(), host.clone().into_bytes());
        }
    }
    let admin = partition.data().join("admin.id");
    presets.insert(
        "SERVERSETUP_ADMIN_IDFILEPATH".to_owned(),
        admin.as_os_str().as_bytes().to_vec(),
    );
    let defaults = partition.settings.auto_cfg_defaults_env_file();
    if let Some(file) = defaults.filter(|file| file.exists()) {
        let text = prepare::read(&file)?;
        presets.extend(values_of(&text, &file.display().to_string())?);
    }
    presets.extend(source.presets.clone());
    let environment = partition
        .exports
        .iter()
        .chain(&partition.inherited)
        .chain(&call.environment);
    for (name, value) in environment {
        let Some(name) = name.to_str() else { continue };
        // A user's variables are none of root's who calls, but for these.
        if name.starts_with("SERVERSETUP_") || partition.inherited.iter().any(|(n, _)| n == name) {
            presets.insert(name.to_owned(), value.as_bytes().to_vec());
        }
    }
    presets.retain(|_, value| !value.is_empty());
    Ok(presets)
}

/// This host's full name, as far as the host knows it.
pub fn host_name(partition: &Partition) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let kernel = kernel.trim().to_owned();
    if kernel.contains('.') {
        return kernel;
    }
    let mut launch = Launch::new("hostname");
    launch.args = vec![OsString::from("-f")];
    launch.env = partition.inherited.clone();
    launch.stderr = crate::os::spawn::Stream::Null;
    let mut output = Vec::new();
    let into = Output::Bytes {
        bound: 4096,
        into: &mut output,
    };
    // A resolver that does not answer must not hold the setup up.
    let ended = run_bounded(launch, Some(Duration::from_secs(5)), None, into);
    let full = String::from_utf8_lossy(&output).trim().to_owned();
    match ended {
        Ok(Ended::Exited(status)) if status.success() && !full.is_empty() => full,
        _ => kernel,
    }
}
