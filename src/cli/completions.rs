//! Completion scripts for shells, from the definition of the command line. The
//! site's own commands are asked for when a word is completed.

use super::Cli;
use super::shell::Shell;
use clap::{Arg, Command, CommandFactory};

/// The names the program is installed under.
const NAMES: [&str; 2] = ["rc_domino", "domino"];

/// One verb as a shell completes it.
struct Verb {
    name: String,
    about: String,
    /// Options and words that may follow, with their meaning.
    words: Vec<(String, String)>,
}

fn words_of(
    arguments: impl Iterator<Item = impl std::borrow::Borrow<Arg>>,
) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for argument in arguments {
        let argument = argument.borrow();
        if argument.is_hide_set() {
            continue;
        }
        let meaning = argument
            .get_help()
            .map_or_else(String::new, ToString::to_string);
        if let Some(long) = argument.get_long() {
            words.push((format!("--{long}"), meaning));
        } else if argument.is_positional() {
            for value in argument.get_possible_values() {
                let meaning = value
                    .get_help()
                    .map_or_else(|| meaning.clone(), ToString::to_string);
                words.push((value.get_name().to_owned(), meaning));
            }
        }
    }
    words
}

fn verbs(command: &Command) -> Vec<Verb> {
    let names: Vec<String> = super::verbs();
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .map(|verb| Verb {
            name: verb.get_name().to_owned(),
            about: verb
                .get_about()
                .map_or_else(String::new, ToString::to_string),
            words: if verb.get_name() == "help" {
                names
                    .iter()
                    .map(|name| (name.clone(), String::new()))
                    .collect()
            } else {
                words_of(verb.get_arguments())
            },
        })
        .collect()
}

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let command = Cli::command();
    let verbs = verbs(&command);
    let options = words_of(command.get_arguments());
    match shell {
        Shell::Bash => bash(&verbs, &options),
        Shell::Zsh => zsh(&verbs, &options),
        Shell::Fish => fish(&verbs, &options),
    }
}

fn joined(words: &[(String, String)]) -> String {
    let names: Vec<&str> = words.iter().map(|(name, _)| name.as_str()).collect();
    names.join(" ")
}

fn bash(verbs: &[Verb], options: &[(String, String)]) -> String {
    let names: Vec<&str> = verbs.iter().map(|verb| verb.name.as_str()).collect();
    let mut cases = String::new();
    for verb in verbs.iter().filter(|verb| !verb.words.is_empty()) {
        cases.push_str(&format!(
            "    {}) words='{}' ;;\n",
            verb.name,
            joined(&verb.words)
        ));
    }
    format!(
        "# bash completion for rc_domino
_rc_domino() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} verb= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
    --user | --color) ((i++)) ;;
    = | -*) ;;
    *) verb=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  case $verb in
    '') words=\"{names} {options} $(\"${{COMP_WORDS[0]}}\" __custom 2>/dev/null)\" ;;
{cases}  esac
  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))
}}
complete -o default -F _rc_domino {programs}
",
        names = names.join(" "),
        options = joined(options),
        programs = NAMES.join(" "),
    )
}

/// A text between single quotes, for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn zsh(verbs: &[Verb], options: &[(String, String)]) -> String {
    let described = |words: &[(String, String)]| {
        words
            .iter()
            .map(|(name, about)| {
                let name = name.replace(':', "\\:");
                if about.is_empty() {
                    quoted(&name)
                } else {
                    quoted(&format!("{name}:{about}"))
                }
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let names: Vec<(String, String)> = verbs
        .iter()
        .map(|verb| (verb.name.clone(), verb.about.clone()))
        .collect();
    let mut cases = String::new();
    for verb in verbs.iter().filter(|verb| !verb.words.is_empty()) {
        cases.push_str(&format!(
            "    {}) found=({}) ;;\n",
            quoted(&verb.name),
            described(&verb.words)
        ));
    }
    format!(
        "#compdef {programs}
_rc_domino() {{
  local -a found
  local verb= i
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
    --user | --color) ((i++)) ;;
    -*) ;;
    *) verb=$words[i]; break ;;
    esac
  done
  case $verb in
    '')
      found=({names})
      found+=(${{(f)\"$($words[1] __custom 2>/dev/null)\"}})
      _describe -t verbs 'verb' found
      found=({options})
      _describe -o -t options 'option' found
      return ;;
{cases}  esac
  if (( $#found )); then
    _describe -t words 'argument' found
  else
    _files
  fi
}}
_rc_domino \"$@\"
",
        programs = NAMES.join(" "),
        names = described(&names),
        options = described(options),
    )
}

fn fish(verbs: &[Verb], options: &[(String, String)]) -> String {
    let mut text = String::from("# fish completion for rc_domino\n");
    for program in NAMES {
        let add = |text: &mut String, condition: &str, name: &str, about: &str| {
            let kind = match name.strip_prefix("--") {
                Some(long) => format!("-l {}", quoted(long)),
                None => format!("-f -a {}", quoted(name)),
            };
            let about = if about.is_empty() {
                String::new()
            } else {
                format!(" -d {}", quoted(about))
            };
            text.push_str(&format!(
                "complete -c {program} -n {condition} {kind}{about}\n"
            ));
        };
        for (name, about) in options {
            add(&mut text, "__fish_use_subcommand", name, about);
        }
        for verb in verbs {
            add(&mut text, "__fish_use_subcommand", &verb.name, &verb.about);
            let condition = quoted(&format!("__fish_seen_subcommand_from {}", verb.name));
            for (name, about) in &verb.words {
                add(&mut text, &condition, name, about);
            }
        }
        text.push_str(&format!(
            "complete -c {program} -n __fish_use_subcommand -f -a '({program} __custom 2>/dev/null)'\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn scripts_name_every_verb() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for verb in crate::cli::verbs() {
                assert!(script.contains(&verb), "{shell:?}: {verb}");
            }
            assert!(!script.contains("__compress"), "{shell:?}");
        }
    }

    /// The shells themselves are the reference; those that a host may lack are
    /// asked by a scenario, which says so there.
    #[test]
    fn bash_accepts_its_script() {
        let mut child = Command::new("bash")
            .arg("-n")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(script(Shell::Bash).as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn bash_completes_verbs_and_their_words() {
        let ask = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let call = format!(
                "{}\nCOMP_WORDS=({}); COMP_CWORD={}; _rc_domino; echo ${{COMPREPLY[*]}}",
                script(Shell::Bash),
                line.replace("rc_domino", "true").replace("  ", " ''"),
                words.len() - 1
            );
            let output = Command::new("bash").args(["-c", &call]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let found = ask("rc_domino sta");
        assert!(
            found.contains("start") && found.contains("status"),
            "{found}"
        );
        assert_eq!(ask("rc_domino --user x completions f"), "fish\n");
        assert_eq!(ask("rc_domino start --wa"), "--wait\n");
    }
}
