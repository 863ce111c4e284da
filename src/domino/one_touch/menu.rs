//! Menus of One-Touch Setup configurations, in the form of the start script's
//! `domino.cfg`, and the places their entries name.

use super::remote::Address;
use super::{first_fault_of, prepare::Template};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One entry of a menu.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Entry {
    /// What is shown; a lone dot is an entry that is not shown.
    pub name: String,
    /// Another menu file.
    #[serde(rename = "URL")]
    pub url: Option<String>,
    /// A menu within the file, such as `/domino14`.
    pub index: Option<String>,
    /// A template of a JSON file.
    #[serde(rename = "oneTouchJSON")]
    pub json: Option<String>,
    /// An environment file: beside a JSON template its values are presets.
    #[serde(rename = "oneTouchENV")]
    pub environment: Option<String>,
    /// A document in Domino's exchange format.
    #[serde(rename = "DXL")]
    pub dxl: Option<String>,
    /// A remark that is shown when the entry was chosen.
    pub info: Option<String>,
}

/// What choosing an entry leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads<'a> {
    /// To a menu: in another file where one is named, at this index.
    Menu(Option<&'a str>, &'a str),
    /// To a JSON template, with presets.
    Json(&'a str, Option<&'a str>),
    /// To an environment file.
    Environment(&'a str),
    /// Nowhere that this program could go.
    Nowhere,
}

impl Entry {
    /// What choosing it leads to.
    pub fn leads(&self) -> Leads<'_> {
        let named = |text: &'_ Option<String>| -> Option<String> {
            text.clone().filter(|text| !text.is_empty())
        };
        let given = |text: &Option<String>| named(text).is_some();
        if given(&self.url) || given(&self.index) {
            let url = self.url.as_deref().filter(|url| !url.is_empty());
            return Leads::Menu(url, self.index.as_deref().unwrap_or_default());
        }
        let environment = self.environment.as_deref().filter(|at| !at.is_empty());
        match (
            self.json.as_deref().filter(|at| !at.is_empty()),
            environment,
        ) {
            (Some(json), presets) => Leads::Json(json, presets),
            (None, Some(environment)) => Leads::Environment(environment),
            (None, None) => Leads::Nowhere,
        }
    }
}

/// Reads the menu at an index (`/a/b`; empty: the file's first) of a file.
///
/// # Errors
/// What is wrong with it, to be put behind the file's name.
pub fn read(text: &[u8], index: &str) -> Result<Vec<Entry>, String> {
    let whole: Value = serde_json::from_slice(text).map_err(|cause| first_fault_of(&cause))?;
    let mut menu = &whole;
    for name in index.split('/').filter(|name| !name.is_empty()) {
        menu = &menu[name];
    }
    // An index may itself have an `index` that says where to begin.
    let entries = match &menu["index"]["cfg"] {
        Value::Null => &menu["cfg"],
        entries => entries,
    };
    if entries.is_null() {
        return Err(match index.trim_matches('/') {
            "" => "holds no menu: neither 'index.cfg' nor 'cfg'".into(),
            name => format!("holds no menu '{name}'"),
        });
    }
    let entries = Vec::<Entry>::deserialize(entries)
        .map_err(|cause| format!("holds a menu that cannot be read: {cause}"))?;
    if entries.is_empty() {
        return Err("holds an empty menu".into());
    }
    Ok(entries)
}

/// A file that a caller or a menu names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this host.
    Local(PathBuf),
    /// On another.
    Remote(Address),
}

impl Place {
    /// Reads `https://…`, `file:/…`, or a path from the root.
    ///
    /// # Errors
    /// Why it is none of these.
    pub fn parse(text: &str) -> Result<Place, String> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.starts_with('/') {
                return Ok(Place::Local(path.into()));
            }
        } else if text.starts_with('/') {
            return Ok(Place::Local(text.into()));
        } else if text.contains("://") {
            return Address::parse(text).map(Place::Remote);
        }
        Err(format!(
            "'{}' is no path from the root, no file:/ and no https:// address",
            crate::error::shown(text.as_ref())
        ))
    }

    /// Whether its name ends in `.json`: a template, where others are menus.
    pub fn is_json(&self) -> bool {
        let path = match self {
            Place::Local(path) => path.as_path(),
            Place::Remote(address) => Path::new(address.path()),
        };
        path.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    }
}

/// The built-in menu: every built-in template.
pub fn built_in() -> Vec<(&'static str, Template)> {
    Template::ALL
        .into_iter()
        .map(|template| (template.title(), template))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MENU: &str = r#"{
      "index": {"cfg": [{"name": ".", "index": "/v14", "URL": ""}]},
      "v14": {"cfg": [
        {"name": "First", "oneTouchJSON": "/t/first.json", "oneTouchENV": "/t/first.env", "info": "small"},
        {"name": "Environment", "oneTouchENV": "https://cfg.example/a.env"},
        {"name": "Older", "index": "/old/v12", "URL": ""},
        {"name": "Elsewhere", "URL": "https://cfg.example/domino.cfg"},
        {"name": "Document", "DXL": "/t/a.dxl"}]},
      "old": {"v12": {"index": {"cfg": [{"name": "Twelve", "oneTouchJSON": "/t/12.json"}]}}}
    }"#;

    #[test]
    fn entries_lead_where_they_say() {
        let first = read(MENU.as_bytes(), "").unwrap();
        assert_eq!(first[0].leads(), Leads::Menu(None, "/v14"));
        let menu = read(MENU.as_bytes(), "/v14").unwrap();
        let leads: Vec<Leads> = menu.iter().map(Entry::leads).collect();
        assert_eq!(
            leads,
            [
                Leads::Json("/t/first.json", Some("/t/first.env")),
                Leads::Environment("https://cfg.example/a.env"),
                Leads::Menu(None, "/old/v12"),
                Leads::Menu(Some("https://cfg.example/domino.cfg"), ""),
                Leads::Nowhere,
            ]
        );
        assert_eq!(menu[0].info.as_deref(), Some("small"));
        assert_eq!(read(MENU.as_bytes(), "old/v12").unwrap()[0].name, "Twelve");
    }

    #[test]
    fn what_is_no_menu_is_said() {
        for (text, index, expected) in [
            ("{\n \"a\" 1}", "", "line 2, column 6: expected `:`"),
            ("{}", "", "holds no menu"),
            (MENU, "/nowhere", "holds no menu 'nowhere'"),
            (r#"{"cfg": []}"#, "", "empty menu"),
            (
                r#"{"cfg": [{"name": 5}]}"#,
                "",
                "cannot be read: invalid type",
            ),
        ] {
            let fault = read(text.as_bytes(), index).unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn places_are_told_apart() {
        let local = |path: &str| Ok(Place::Local(path.into()));
        assert_eq!(Place::parse("/etc/a.cfg"), local("/etc/a.cfg"));
        assert_eq!(Place::parse("file:/etc/a.cfg"), local("/etc/a.cfg"));
        assert_eq!(Place::parse("file:///etc/a.cfg"), local("/etc/a.cfg"));
        for text in ["http://a/b", "ftp://a/b", "a.json", "file:a", ""] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
        let remote = Place::parse("https://cfg.example/a.JSON?x=1").unwrap();
        assert!(remote.is_json() && !Place::parse("/a/json").unwrap().is_json());
    }
}
