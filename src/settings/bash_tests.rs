//! The fallback against files that misbehave in every way known.

use super::*;
use std::fs;

struct Files(
    #[allow(dead_code, reason = "lives as long as the files are needed")] tempfile::TempDir,
    Vec<PathBuf>,
);

fn files(texts: &[&[u8]]) -> Files {
    let directory = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = directory.path().join(format!("file {index}"));
        fs::write(&path, text).unwrap();
        paths.push(path);
    }
    Files(directory, paths)
}

fn before() -> Scope {
    let mut scope = Scope::from_environment(&[
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("ENV1".into(), "one".into()),
        ("SHLVL".into(), "7".into()),
        ("BASH_ENV".into(), "/nowhere".into()),
    ]);
    scope.set("DOMINO_USER", b"notes");
    scope.put(
        b"DECLARED",
        Some(Variable {
            value: None,
            exported: true,
        }),
    );
    scope
}

fn ask(texts: &[&[u8]]) -> Result<Answer, Error> {
    let files = files(texts);
    run_with(&find_bash().unwrap(), &files.1, &before(), TIME_LIMIT)
}

/// The variables after the last file.
fn after(text: &[u8]) -> Scope {
    let answer = ask(&[text]).unwrap_or_else(|error| panic!("{error}"));
    answer.states.last().unwrap().1.clone()
}

fn text_of(scope: &Scope, name: &str) -> String {
    let value = scope.value(name.as_bytes()).unwrap_or(b"UNSET");
    value.escape_ascii().to_string()
}

#[test]
fn root_never_executes_configuration() {
    if geteuid().is_root() {
        assert!(matches!(run(&[], &before()), Err(Error::Root)));
    } else {
        assert!(run(&[], &before()).is_ok());
    }
}

#[test]
fn a_file_that_changes_nothing_leaves_the_scope_as_it_was() {
    assert_eq!(after(b"true\n"), before());
    assert_eq!(after(b"[ -d /nowhere ] && A=1\n"), before());
}

#[test]
fn variables_come_back_byte_for_byte_with_their_exports() {
    let scope = after(
        b"A=$(printf 'x\\ny  z')\nB='\xff\xfe'\nexport C=\"$ENV1 $DOMINO_USER\"\nENV1=\"new\n\n\"\nunset SHLVL\nARRAY=(first second)\nDECLARED=x\n: ${TERM:=vt}; HOSTNAME=mine\n",
    );
    assert_eq!(text_of(&scope, "A"), "x\\ny  z");
    assert_eq!(text_of(&scope, "B"), "\\xff\\xfe");
    assert_eq!(text_of(&scope, "C"), "one notes");
    assert_eq!(text_of(&scope, "ENV1"), "new\\n\\n");
    assert_eq!(text_of(&scope, "ARRAY"), "first");
    assert_eq!(text_of(&scope, "SHLVL"), "7");
    assert_eq!(text_of(&scope, "HOSTNAME"), "mine");
    assert!(scope.variable(b"TERM").is_none() && scope.variable(b"SHELL").is_none());
    let exported = |name: &[u8]| scope.variable(name).unwrap().exported;
    assert!(exported(b"C") && exported(b"ENV1") && exported(b"PATH") && exported(b"DECLARED"));
    assert!(!exported(b"A") && !exported(b"DOMINO_USER"));
}

#[test]
fn what_a_file_does_to_the_shell_does_not_spoil_the_answer() {
    let hostile: &[&[u8]] = &[
        b"A=1; PATH=/nowhere",
        b"A=1; IFS=A=1",
        b"set -u; A=1",
        b"set -e; A=1",
        b"set -f; set -x; A=1",
        b"A=1; exec >&- 2>&-",
        b"A=1; exec >/dev/null 2>&1 </dev/null",
        b"A=1; cd /",
        b"A=1; set -- a b c; shift 2",
        b"A=1; printf() { echo no; }; compgen() { :; }; eval() { :; }",
        b"A=1; trap : DEBUG; trap 'A=3' EXIT",
        b"POSIXLY_CORRECT=1; A=1",
        b"echo on stdout; A=1",
        b"A=1; sleep 2 &",
        b"A=1; yes & disown",
        b"A=1; return 3; A=2",
        b"f() { local A=9; B=2; }; f; A=1",
        b"no_such_command; A=1",
        b"A=1; false",
        b"if true; then\nA=1\nfi",
    ];
    for text in hostile {
        let begun = Instant::now();
        let mut all = text.to_vec();
        all.push(b'\n');
        let scope = after(&all);
        // Background writers must not outlive the test.
        assert_eq!(text_of(&scope, "A"), "1", "{}", text.escape_ascii());
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn files_build_on_each_other_and_each_state_is_told_apart() {
    let answer = ask(&[b"f() { A=$1; }\nf 1\nB=x\n", b"f 2\n", b"unset B\n"]).unwrap();
    let seen: Vec<(String, String)> = answer
        .states
        .iter()
        .map(|(_, scope)| (text_of(scope, "A"), text_of(scope, "B")))
        .collect();
    let expected = [("1", "x"), ("2", "x"), ("2", "UNSET")];
    assert_eq!(seen, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(answer.exited_in, None);
}

#[test]
fn an_exit_still_hands_back_what_was_set() {
    let answer = ask(&[b"A=1\nexit 3\nA=2\n", b"A=3\n"]).unwrap();
    assert_eq!(answer.states.len(), 1);
    assert_eq!(text_of(&answer.states[0].1, "A"), "1");
    assert!(answer.exited_in.unwrap().ends_with("file 0"));
}

#[test]
fn what_files_print_is_kept_within_bounds() {
    let answer = ask(&[b"echo hello; echo oops >&2; nosuch\n"]).unwrap();
    let output = String::from_utf8_lossy(&answer.output).into_owned();
    assert!(
        output.contains("hello\noops\n") && output.contains("line 1: nosuch"),
        "{output}"
    );
    let answer = ask(&[b"i=0; while [ $((i++)) -lt 3000 ]; do echo 0123456789; done\n"]).unwrap();
    assert_eq!(answer.output.len(), MOST_OUTPUT);
}

#[test]
fn a_syntax_error_names_file_and_line_and_nothing_is_executed() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let text = format!("A=1\n: > {}\nif true; then\nfi\n", trace.display());
    match ask(&[text.as_bytes()]) {
        Err(Error::Syntax {
            path,
            line: Some(4),
            message,
        }) => {
            assert!(path.ends_with("file 0"));
            assert!(message.starts_with("syntax error"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!trace.exists());
    let extended = b"shopt -s extglob\ncase x in @(x|y)) A=1;; esac\n";
    assert_eq!(text_of(&after(extended), "A"), "1");
}

#[test]
fn an_endless_file_is_killed_with_all_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("pid");
    let text = format!(
        "sleep 60 & echo $! > {}\nwhile :; do :; done\n",
        trace.display()
    );
    let files = files(&[b"A=1\n", text.as_bytes()]);
    let ended = |limit| {
        let begun = Instant::now();
        match run_with(&find_bash().unwrap(), &files.1, &before(), limit) {
            Err(Error::TimedOut { path, .. }) => {
                let sleeper = fs::read_to_string(&trace).ok()?;
                // Else it came no further within the limit.
                let sleeper = sleeper.strip_suffix('\n')?.to_owned();
                assert!(path.ends_with("file 1"));
                assert!(begun.elapsed() - limit < Duration::from_secs(20));
                Some(sleeper)
            }
            other => panic!("{other:?}"),
        }
    };
    let mut limits = [1, 5, 20].map(Duration::from_secs).into_iter();
    let sleeper = limits.find_map(ended).expect("it never came so far");
    // Killed is not gone yet.
    crate::os::testing::until(|| {
        fs::read_to_string(format!("/proc/{}/stat", sleeper))
            .map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn a_shell_that_vanishes_is_an_error() {
    for text in [&b"exec true\n"[..], b"kill -9 $$\n"] {
        match ask(&[text]) {
            Err(error @ Error::NoAnswer { .. }) => assert!(error.to_string().contains("file 0")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_missing_bash_is_said() {
    let files = files(&[b"true\n"]);
    let answer = run_with(Path::new("/nowhere/bash"), &files.1, &before(), TIME_LIMIT);
    assert!(matches!(answer, Err(Error::NotFound(_))));
}
