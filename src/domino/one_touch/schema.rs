//! Checks a One-Touch Setup file against a JSON schema: the one that Domino
//! ships, else what this program knows of the format.
//!
//! Of JSON Schema (draft 7) what such a file needs: type, properties,
//! additionalProperties, required, items, enum, const, minimum, maximum,
//! minLength, maxLength, allOf, anyOf, oneOf, if/then/else and $ref within the
//! document. Other keywords demand nothing here; Domino checks them itself.

use super::locate::Step;
use serde_json::Value;

/// What this program knows of the format, in the same notation.
const KNOWN: &str = include_str!("templates/known.schema.json");

/// References that lead from one to the next are followed so far.
const DEEPEST: usize = 64;

/// Something in a document that the schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The value in question.
    pub way: Vec<Step>,
    /// What is wrong with it.
    pub problem: String,
}

/// The built-in schema.
pub fn known() -> serde_json::Result<Value> {
    serde_json::from_str(KNOWN)
}

/// Every fault of a document.
pub fn check(schema: &Value, document: &Value) -> Vec<Fault> {
    let mut checker = Checker {
        root: schema,
        way: Vec::new(),
        faults: Vec::new(),
    };
    checker.value(schema, document, 0);
    checker.faults
}

struct Checker<'a> {
    root: &'a Value,
    way: Vec<Step>,
    faults: Vec<Fault>,
}

impl<'a> Checker<'a> {
    fn fault(&mut self, problem: String) {
        self.faults.push(Fault {
            way: self.way.clone(),
            problem,
        });
    }

    /// Faults of a value against one schema of several, not reported.
    fn trial(&self, schema: &'a Value, value: &Value, depth: usize) -> Vec<Fault> {
        let mut trial = Checker {
            root: self.root,
            way: self.way.clone(),
            faults: Vec::new(),
        };
        trial.value(schema, value, depth);
        trial.faults
    }

    fn value(&mut self, schema: &'a Value, value: &Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        if *schema == Value::Bool(false) {
            self.fault("is not allowed here".into());
            return;
        }
        if let Some(target) = schema["$ref"].as_str() {
            let inside = target.strip_prefix('#');
            if let Some(found) = inside.and_then(|pointer| self.root.pointer(pointer)) {
                self.value(found, value, depth + 1);
            }
        }
        if let Some(expected) = wrong_type(&schema["type"], value) {
            self.fault(format!("is {}, expected {expected}", kind(value)));
            return;
        }
        self.listed_values(schema, value);
        self.bounds(schema, value);
        match value {
            Value::Object(members) => {
                for name in strings(&schema["required"]) {
                    if !members.contains_key(name) {
                        self.fault(format!("member '{name}' is missing"));
                    }
                }
                for (name, member) in members {
                    let inner = match schema["properties"].get(name) {
                        Some(known) => known,
                        None => &schema["additionalProperties"],
                    };
                    self.way.push(Step::Member(name.clone()));
                    self.value(inner, member, depth + 1);
                    self.way.pop();
                }
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.way.push(Step::Item(place));
                    self.value(&schema["items"], item, depth + 1);
                    self.way.pop();
                }
            }
            _ => {}
        }
        self.combinations(schema, value, depth);
    }

    fn listed_values(&mut self, schema: &Value, value: &Value) {
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let names: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.fault(format!("is {value}, allowed: {}", names.join(", ")));
        }
        if let Some(only) = schema.get("const")
            && only != value
        {
            self.fault(format!("is {}, expected {only}", kind(value)));
        }
    }

    fn bounds(&mut self, schema: &Value, value: &Value) {
        if let Some(number) = value.as_f64() {
            for (keyword, word) in [("minimum", "at least"), ("maximum", "at most")] {
                let Some(bound) = schema[keyword].as_f64() else {
                    continue;
                };
                if keyword == "minimum" && number < bound || keyword == "maximum" && number > bound
                {
                    self.fault(format!("is {value}, expected {word} {bound}"));
                }
            }
        }
        if let Some(text) = value.as_str() {
            let length = text.chars().count() as u64;
            if schema["minLength"]
                .as_u64()
                .is_some_and(|least| length < least)
            {
                self.fault(match length {
                    0 => "is empty".into(),
                    _ => "is too short".into(),
                });
            }
            if schema["maxLength"]
                .as_u64()
                .is_some_and(|most| length > most)
            {
                self.fault("is too long".into());
            }
        }
    }

    fn combinations(&mut self, schema: &'a Value, value: &Value, depth: usize) {
        for part in schemas(&schema["allOf"]) {
            self.value(part, value, depth + 1);
        }
        for keyword in ["anyOf", "oneOf"] {
            let forms = schemas(&schema[keyword]);
            let trials: Vec<Vec<Fault>> = forms
                .iter()
                .map(|form| self.trial(form, value, depth + 1))
                .collect();
            if trials.is_empty() || trials.iter().any(Vec::is_empty) {
                continue;
            }
            // The form with the fewest faults is the one that was meant.
            if let Some(meant) = trials.into_iter().min_by_key(Vec::len) {
                self.faults.extend(meant);
            }
        }
        if let Some(condition) = schema.get("if") {
            let holds = self.trial(condition, value, depth + 1).is_empty();
            let follows = &schema[if holds { "then" } else { "else" }];
            self.value(follows, value, depth + 1);
        }
    }
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn schemas(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What was expected, where the value is of none of the types.
fn wrong_type(types: &Value, value: &Value) -> Option<String> {
    let allowed: Vec<&str> = match types {
        Value::String(one) => vec![one],
        several => strings(several).collect(),
    };
    if allowed.is_empty() || allowed.iter().any(|name| is_of_type(name, value)) {
        return None;
    }
    Some(allowed.join(" or "))
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::locate::Way;
    use super::*;
    use serde_json::json;

    fn faults(schema: &Value, document: Value) -> Vec<String> {
        let found = check(schema, &document);
        found
            .iter()
            .map(|fault| format!("{}: {}", Way(&fault.way), fault.problem))
            .collect()
    }

    #[test]
    fn the_known_format_is_checked() {
        let known = known().unwrap();
        let good = json!({"serverSetup": {"server": {"type": "first", "name": "mail",
            "password": null, "minPasswordLength": 0, "newMember": [1]},
            "org": {"orgName": "Acme"}}, "ofTheFuture": 1});
        assert!(faults(&known, good).is_empty());
        let bad = json!({"serverSetup": {"server": {"type": "second", "name": "",
            "minPasswordLength": "8"}, "org": {"orgName": 5}},
            "appConfiguration": {"databases": [{"filePath": "a"}]}});
        assert_eq!(
            faults(&known, bad),
            [
                "appConfiguration.databases[0]: member 'action' is missing",
                "serverSetup.org.orgName: is number, expected string",
                "serverSetup.server.minPasswordLength: is string, expected integer",
                "serverSetup.server.name: is empty",
                "serverSetup.server.type: is \"second\", allowed: \"first\", \"additional\"",
            ]
        );
        let additional = json!({"serverSetup": {"server": {"type": "additional", "name": "m"}}});
        assert_eq!(
            faults(&known, additional),
            ["serverSetup: member 'existingServer' is missing"]
        );
        assert_eq!(
            faults(&known, json!({})),
            [": member 'serverSetup' is missing"]
        );
    }

    #[test]
    fn keywords_of_a_shipped_schema_count() {
        let schema = json!({"$defs": {"port": {"minimum": 1, "maximum": 65535}},
            "additionalProperties": false,
            "properties": {"port": {"$ref": "#/$defs/port"}, "loop": {"$ref": "#/properties/loop"},
                "name": {"anyOf": [{"type": "string", "maxLength": 3}, {"const": 7}]},
                "all": {"allOf": [{"type": "string"}, {"minLength": 2}]}}});
        let good = json!({"port": 1352, "name": 7, "all": "ab", "loop": 1});
        assert!(faults(&schema, good).is_empty());
        let bad = json!({"port": 0, "name": "long", "all": "a", "x": 1});
        assert_eq!(
            faults(&schema, bad),
            [
                "all: is too short",
                "name: is too long",
                "port: is 0, expected at least 1",
                "x: is not allowed here",
            ]
        );
    }
}
