//! Holds the evaluator to bash: by hand where it matters, then by chance.

use super::*;
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};

fn scope() -> Scope {
    Scope::from_environment(&[
        ("ENV1".into(), "from env".into()),
        ("ENV2".into(), "".into()),
        ("HOME".into(), "/home/notes".into()),
        ("DOMINO_USER".into(), "notes".into()),
    ])
}

fn value(text: &str, name: &str) -> Option<String> {
    let mut scope = scope();
    scope.apply(&evaluate(text.as_bytes(), &scope).unwrap());
    scope
        .value(name.as_bytes())
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn refused(text: &[u8]) -> Refusal {
    evaluate(text, &scope()).unwrap_err()
}

#[test]
fn values_are_read_as_a_shell_reads_them() {
    let cases: &[(&str, &str)] = &[
        ("A=1", "1"),
        ("A=", ""),
        ("  A='a b'\"c d\"e\\ f   # comment", "a bc de f"),
        ("A=x#y", "x#y"),
        ("A=\"#\"'|'", "#|"),
        ("A=*?[a]", "*?[a]"),
        ("A=$HOME/x", "/home/notes/x"),
        ("A=\"${HOME}s $DOMINO_USER\"", "/home/notess notes"),
        ("A=${NO:-d e}", "d e"),
        ("A=${ENV2-d}${ENV2:-e}", "e"),
        ("A=${ENV1:+set}${NO+unset}", "set"),
        ("A=${B:=\"$HOME\"}$B", "/home/notes/home/notes"),
        ("A=${NO:-${NEIN:-'}'}}", "}"),
        ("A=1 B=$A A=2$B", "21"),
        ("A=1; A+=2 ;A+='3'", "123"),
        ("A=one\\\ntwo", "onetwo"),
        ("A='one\\\ntwo'", "one\\\ntwo"),
        ("A=\"a\\b\\$\\\"\\\\\\\nc\"", "a\\b$\"\\c"),
        ("A=$/$.\"$\"", "$/$.$"),
        ("A=a~b/~", "a~b/~"),
        ("A=\\~", "~"),
        ("export A=1 B", "1"),
        ("A=1\nexport A=2 C=$A\nA=$C", "1"),
        ("# a 'comment\nA=1 # it's\n", "1"),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text, "A").as_deref(), Some(*expected), "{text}");
    }
    assert_eq!(value("A=1\nunset A ENV1", "A"), None);
}

#[test]
fn lines_and_exports_are_kept() {
    let text = b"#\nA=1\\\n2\nexport A\n\nENV1=x B='\n'\nC=3\nexport D\nunset ENV1; ENV1=y";
    let log = evaluate(text, &scope()).unwrap();
    let seen: Vec<(usize, &[u8], bool)> = log
        .iter()
        .map(|assignment| {
            let exported = assignment
                .state
                .as_ref()
                .is_some_and(|state| state.exported);
            (assignment.line, assignment.name.as_slice(), exported)
        })
        .collect();
    let expected: [(usize, &[u8], bool); 8] = [
        (2, b"A", false),
        (4, b"A", true),
        (6, b"ENV1", true),
        (6, b"B", false),
        (8, b"C", false),
        (9, b"D", true),
        (10, b"ENV1", false),
        (10, b"ENV1", false),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn whatever_else_is_refused_with_its_line() {
    let cases: &[(&[u8], usize, Construct)] = &[
        (b"A=1\nmkdir /x", 2, Construct::Command(b"mkdir".to_vec())),
        (b"A=1 env", 1, Construct::Command(b"env".to_vec())),
        (b"if true; then", 1, Construct::Command(b"if".to_vec())),
        (b". /etc/x", 1, Construct::Command(b".".to_vec())),
        (b"set -a", 1, Construct::Command(b"set".to_vec())),
        (b"\nA=$(id)", 2, Construct::CommandSubstitution),
        (b"A=\"`id`\"", 1, Construct::CommandSubstitution),
        (b"A=$[1+1]", 1, Construct::Arithmetic),
        (b"A=(1 2)", 1, Construct::Array),
        (b"A=~/x", 1, Construct::Tilde),
        (b"A=/x:~notes", 1, Construct::Tilde),
        (b"A=$1", 1, Construct::SpecialParameter),
        (b"A=$$", 1, Construct::SpecialParameter),
        (b"A=${B%x}", 1, Construct::Expansion),
        (b"A=${#B}", 1, Construct::Expansion),
        (b"A=$'x'", 1, Construct::DollarQuote),
        (b"A=1&", 1, Construct::Operator(b'&')),
        (b"A=1 >x", 1, Construct::Command(b">x".to_vec())),
        (b"A=1>x", 1, Construct::Operator(b'>')),
        (b"A=1;;", 1, Construct::Operator(b';')),
        (b"export A={1,2}", 1, Construct::Operator(b'{')),
        (b"UID=3", 1, Construct::ShellVariable(b"UID".to_vec())),
        (b"A=$PWD", 1, Construct::ShellVariable(b"PWD".to_vec())),
        (b"A=$PATH", 1, Construct::ShellVariable(b"PATH".to_vec())),
        (b"# ok\r\nA=1\r\n", 2, Construct::CarriageReturn),
        (b"A=1\nB=\0", 2, Construct::ControlByte(0)),
        (b"\nA='x\n\n", 2, Construct::OpenQuote(b'\'')),
        (b"\n\nA=\"x\n", 3, Construct::OpenQuote(b'"')),
        (b"A=${B", 1, Construct::OpenBrace),
        (b"A=1\\", 1, Construct::Backslash),
        (b"export", 1, Construct::Command(b"export".to_vec())),
        (b"export -n A", 1, Construct::Command(b"-n".to_vec())),
    ];
    for (text, line, what) in cases {
        let refusal = refused(text);
        let text = String::from_utf8_lossy(text);
        assert_eq!((refusal.line, &refusal.what), (*line, what), "{text}");
        assert!(!what.to_string().is_empty());
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let text = format!("A={}", "${B:-".repeat(100_000));
    assert_eq!(refused(text.as_bytes()).what, Construct::Expansion);
}

/// Sources the texts in bash and hands back, for each, every wanted variable:
/// name, value where it is set, whether it is exported.
type State = Vec<(Vec<u8>, Option<Vec<u8>>, bool)>;

fn ask_bash(texts: &[(Vec<u8>, Vec<Vec<u8>>)]) -> Vec<State> {
    const SCRIPT: &str = r#"
        while IFS= read -r -d '' file && IFS= read -r -d '' count; do
            names=(); while ((count-- > 0)); do IFS= read -r -d '' name; names+=("$name"); done
            (
                . "$file" </dev/null
                for __name in "${names[@]}"; do
                    eval "__flags=\${$__name@a}"
                    printf '%s\0%s\0%s\0%s\0' "$__name" "${!__name+set}" "${!__name}" "$__flags"
                done
            )
            printf 'end\0'
        done"#;
    let directory = tempfile::tempdir().unwrap();
    let mut input = Vec::new();
    for (index, (text, names)) in texts.iter().enumerate() {
        let file = directory.path().join(index.to_string());
        std::fs::write(&file, text).unwrap();
        write!(input, "{}\0{}\0", file.display(), names.len()).unwrap();
        for name in names {
            input.extend_from_slice(name);
            input.push(0);
        }
    }
    let list = directory.path().join("list");
    std::fs::write(&list, input).unwrap();
    let output = Command::new("bash")
        .args(["-c", SCRIPT])
        .env_clear()
        .envs(scope().environment())
        .stdin(std::fs::File::open(list).unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.is_empty(),
        "bash stumbled over an accepted text: {stderr}"
    );
    let mut fields = output.stdout.split(|byte| *byte == 0);
    let mut states = Vec::new();
    for _ in texts {
        let mut state = State::new();
        loop {
            let name = fields.next().unwrap();
            if name == b"end" {
                break;
            }
            let set = fields.next().unwrap() == b"set";
            let value = fields.next().unwrap().to_vec();
            let exported = fields.next().unwrap().contains(&b'x');
            state.push((name.to_vec(), set.then_some(value), exported));
        }
        states.push(state);
    }
    states
}

/// A text that is shown readably when a case fails.
struct Text(Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Compares every accepted text with bash; hands back how many there were.
fn compare(texts: &[Text]) -> usize {
    const ALWAYS: [&[u8]; 8] = [
        b"A", b"B", b"C", b"D_1", b"ENV1", b"ENV2", b"HOME", b"lower",
    ];
    let mut asked = Vec::new();
    let mut ours = Vec::new();
    for Text(text) in texts {
        let Ok(log) = evaluate(text, &scope()) else {
            continue;
        };
        let mut after = scope();
        after.apply(&log);
        let mut names: Vec<Vec<u8>> = ALWAYS.iter().map(|name| name.to_vec()).collect();
        names.extend(log.iter().map(|assignment| assignment.name.clone()));
        names.sort();
        names.dedup();
        let state: State = names
            .iter()
            .map(|name| {
                let variable = after.variable(name).cloned().unwrap_or_default();
                (name.clone(), variable.value, variable.exported)
            })
            .collect();
        asked.push((text.clone(), names));
        ours.push(state);
    }
    for ((bash, ours), (text, _)) in ask_bash(&asked).iter().zip(&ours).zip(&asked) {
        for (bash, ours) in bash.iter().zip(ours) {
            let show = |(name, value, exported): &(Vec<u8>, Option<Vec<u8>>, bool)| {
                let value = value.as_ref().map(|value| value.escape_ascii().to_string());
                format!("{} {value:?} {exported}", name.escape_ascii())
            };
            assert_eq!(
                show(bash),
                show(ours),
                "bash, ours: {}",
                text.escape_ascii()
            );
        }
    }
    asked.len()
}

fn pick(choices: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(choices).prop_map(|choice| choice.as_bytes().to_vec())
}

fn joined(parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.concat()
}

/// A piece of a value: mostly what the evaluator should know.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => pick(&["x", "/opt/hcl", "a b", "-C", "1", ".", ",", "*", "?", "[a]", "}", "#", "!",
                    "%", "^", "@", "=", ":", "\\ ", "\\$", "\\\"", "\\'", "\\\\", "\\n", "\\#", "\\\n"]),
        4 => pick(&["$A", "$B", "${A}", "${C}", "$ENV1", "${ENV2}", "$HOME", "$", "$/", "${NO}"]),
        3 => pick(&["''", "'a b'", "'$A'", "'\"'", "'\\'", "'#'", "'\n'", "'~'", "'{a,b}'"]),
        3 => pick(&["\"\"", "\"a  b\"", "\"$A\"", "\"'\"", "\"\\\\\"", "\"\\x\"", "\"${B}y\"",
                    "\"a\\\nb\"", "\"\n\"", "\"$\"", "\"\\$A\"", "\"\\`\"", "\"!\"", "\"~\""]),
        3 => pick(&["${A:-d}", "${B-e f}", "${C:=g}", "${D_1=h}", "${A:+i j}", "${A+k}", "${C:-$B}",
                    "\"${A:-x y}\"", "\"${B:=#}\"", "${B:-'q r'}", "${ENV2:-\"s $A\"}", "\"${C+$A-}\"",
                    "${D_1:-${A:-${B}}}", "${A:-}", "${lower:= t }", "\"${lower- ~ * }\"", "${A-*}"]),
        1 => pick(&["~", "`", "$(", "${", "(", ")", "{", "{a,b}", "&", "|", "<", ">", "$1", "$'", "\"", "'", "\\"]),
        1 => prop::collection::vec(any::<u8>().prop_filter("no NUL", |byte| *byte != 0), 1..4),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let name = || pick(&["A", "B", "C", "D_1", "ENV1", "ENV2", "lower", "HOME"]);
    let assign = move || {
        let value = prop::collection::vec(piece(), 0..5).prop_map(joined);
        (name(), pick(&["=", "=", "=", "+="]), value).prop_map(|(n, e, v)| [n, e, v].concat())
    };
    let between = || pick(&[" ", "  ", "\t", " \\\n", "; ", ";"]);
    let argument = move || prop_oneof![name(), assign()];
    let end = || {
        pick(&[
            "\n",
            "\n",
            "\n\n",
            " \n",
            ";\n",
            " # it's $A\n",
            "; # \"\n",
            "\\\n",
            "",
        ])
    };
    prop_oneof![
        6 => (pick(&["", "", " ", "\t"]), assign(), end()).prop_map(|(a, b, c)| [a, b, c].concat()),
        2 => (assign(), between(), assign(), end()).prop_map(|(a, b, c, d)| [a, b, c, d].concat()),
        3 => (pick(&["export ", "export \t", "export \\\n"]), argument(), between(), argument(), end())
            .prop_map(|(a, b, c, d, e)| [a, b, c, d, e].concat()),
        1 => (pick(&["unset ", "export "]), name(), end()).prop_map(|(a, b, c)| [a, b, c].concat()),
        1 => pick(&["# 'comment\n", "\n", " \t\n", "#\n", ";\n", "true\n", "set -a\n", "A=1 B\n"]),
        1 => prop::collection::vec(piece(), 1..4).prop_map(joined),
    ]
}

/// A text of a few lines, sometimes with a byte changed.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec(line(), 1..5).prop_map(joined);
    let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), 1..=255u8));
    (lines, change).prop_map(|(mut text, change)| {
        if let Some((place, byte)) = change
            && !text.is_empty()
        {
            let place = place.index(text.len());
            if let Some(old) = text.get_mut(place) {
                *old = byte;
            }
        }
        text
    })
}

proptest! {
    // More with RC_DOMINO_CASES=N; a case is a batch of 250 texts.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("RC_DOMINO_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(6),
        max_shrink_iters: std::env::var("RC_DOMINO_SHRINK").ok().and_then(|n| n.parse().ok()).unwrap_or(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bash_agrees_with_whatever_is_accepted(texts in prop::collection::vec(text().prop_map(Text), 250)) {
        let accepted = compare(&texts);
        prop_assert!(accepted > 40, "only {accepted} of 250 accepted: the generator is too wild");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_refusal_leaves_no_trace_and_names_a_line(text in text()) {
        let before = scope();
        let lines = text.split(|byte| *byte == b'\n').count();
        if let Err(refusal) = evaluate(&text, &before) {
            prop_assert!(refusal.line >= 1 && refusal.line <= lines);
        }
        prop_assert_eq!(before, scope());
    }

    #[test]
    fn no_bytes_whatever_make_it_stumble(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = evaluate(&text, &scope());
    }
}

#[test]
fn what_is_called_a_syntax_error_is_one_for_bash() {
    let texts: [&[u8]; 6] = [
        b"A='x\nB=1\n",
        b"A=1 # it's\nB=\"x\n",
        b"A=${B:-x",
        b"A=\"${B:-x}\nB='y'",
        b"export A='",
        b"A=${B",
    ];
    for text in texts {
        assert!(refused(text).is_syntax_error(), "{}", text.escape_ascii());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let output = Command::new("bash")
            .arg("-n")
            .arg(file.path())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{}", text.escape_ascii());
    }
}

/// The original's configuration file, which is not ours to ship: found below
/// the path in RC_DOMINO_ORIGINAL. Else our own sample, where it is there.
#[test]
fn the_shipped_configuration_reads_as_in_bash_with_every_line_uncommented() {
    let original = std::env::var_os("RC_DOMINO_ORIGINAL")
        .map(|base| std::path::Path::new(&base).join("sysconfig/rc_domino_config"));
    let ours =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/sysconfig/rc_domino_config");
    for path in original.into_iter().chain([ours]) {
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let uncommented: Vec<u8> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| match line.strip_prefix(b"#") {
                Some(rest)
                    if name_length(rest) > 3 && rest.get(name_length(rest)) == Some(&b'=') =>
                {
                    rest
                }
                _ => line,
            })
            .collect::<Vec<_>>()
            .concat();
        let names = evaluate(&uncommented, &scope()).unwrap().len();
        assert!(names > 50, "{}: only {names} assignments", path.display());
        assert_eq!(
            compare(&[Text(text), Text(uncommented)]),
            2,
            "{}",
            path.display()
        );
    }
}
