//! The stand-in as a program of its own: under a Domino program's name it is
//! that program, under its own name it lays out, inspects and clears a tree.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "mod.rs"]
mod standin;

use standin::Layout;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage:
  standin install LOTUS DATA [--owner UID:GID] [--port N] [--no-setup]
  standin calls DATA          what the programs were called with
  standin pages FILE          checks a pages.nsf
  standin ipc DATA            counts the IPC objects of this DATA
  standin kill LOTUS DATA     kills every process of this tree, removes its IPC";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let code = standin::dispatch(&args).unwrap_or_else(|| own_name(&args));
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

/// What `standin` does under its own name.
fn own_name(args: &[OsString]) -> i32 {
    let words: Vec<&str> = args.iter().skip(1).filter_map(|arg| arg.to_str()).collect();
    let result = match words.as_slice() {
        ["install", lotus, data, options @ ..] => install(lotus, data, options),
        ["calls", data] => calls(Path::new(data)),
        ["pages", file] => standin::check_pages(Path::new(file))
            .map(|pages| println!("{pages} pages, all whole"))
            .map_err(std::io::Error::other),
        ["ipc", data] => {
            println!("{}", standin::ipc_left(Path::new(data)));
            Ok(())
        }
        ["kill", lotus, data] => {
            standin::kill_all(Path::new(lotus), Path::new(data));
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return 2;
        }
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("standin: {error}");
            1
        }
    }
}

fn install(lotus: &str, data: &str, options: &[&str]) -> std::io::Result<()> {
    let mut layout = Layout::new(std::env::current_exe()?, lotus, data);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().copied().unwrap_or_default();
        match *option {
            "--no-setup" => layout.server_setup = false,
            "--port" => layout.port = value().parse().ok(),
            "--owner" => {
                layout.owner = value()
                    .split_once(':')
                    .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
            }
            other => return Err(std::io::Error::other(format!("unknown option {other}"))),
        }
    }
    standin::install(&layout)
}

fn calls(data: &Path) -> std::io::Result<()> {
    for call in standin::read_calls(data)? {
        println!(
            "{} pid {} ppid {} uid {} cwd {} argv {:?}",
            call.program,
            call.pid,
            call.ppid,
            call.uid,
            PathBuf::from(&call.cwd).display(),
            call.argv
        );
    }
    Ok(())
}
