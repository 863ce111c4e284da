//! The program: everything it does lives in the library.

fn main() -> std::process::ExitCode {
    rc_domino::run(std::env::args_os().collect(), std::env::vars_os().collect()).into()
}
