//! The Java server controller, and whatever else runs as `jvm/bin/java`.

use super::control::{self, CONTROLLER, Control, SERVER};
use super::mode::Mode;
use super::place::{Place, file_stamp};
use super::{server, task};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CLASS: &str = "lotus.notes.internal.ServerController";

/// `server -jc …`: becomes the controller's Java process.
pub fn become_java(place: &Place, args: &[OsString]) -> i32 {
    let jars = place.program("jvm/lib/ext/Notes.jar");
    server::exec(
        Command::new(place.program("jvm/bin/java"))
            .args(["-ss512k", "-Xmso5M", "-cp"])
            .arg(jars)
            .arg(CLASS)
            .args(args),
    )
}

/// `server -jc -q [-y]`: asks the controller to end; unless `-y` is given the
/// real one wants a `y` on standard input, which this one leaves there.
pub fn stop() -> i32 {
    match control::send(CONTROLLER, b"q") {
        Ok(()) => {
            println!("Server Controller: stop requested");
            0
        }
        Err(error) => {
            println!("Error: no Server Controller answers ({error})");
            1
        }
    }
}

/// A Java process: Tika, the controller, or one that only waits.
pub fn java(place: Place, args: &[OsString]) -> i32 {
    if args
        .iter()
        .any(|arg| arg.as_bytes().ends_with(b"tika-server.jar"))
    {
        return task::run(&place, "tika");
    }
    match args.iter().position(|arg| arg == CLASS) {
        Some(at) => control_server(&place, &args[at + 1..]),
        None => task::run(&place, "java"),
    }
}

fn control_server(place: &Place, args: &[OsString]) -> i32 {
    let lock_path = place.data.join(".jsc_lock");
    let lock = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path);
    let locked = lock.as_ref().is_ok_and(|file| {
        rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    });
    if !locked {
        println!("Error: a Server Controller is already running in this data directory");
        return 1;
    }
    task::ignore(libc::SIGHUP);
    println!("Server Controller started");
    let Ok(control) = Control::open(CONTROLLER) else {
        return 1;
    };
    let mut child = launch(place, args);
    let mode = Mode::load(&place.data);
    let end = Instant::now() + mode.lifetime();
    let mut asked = false;
    while !asked && Instant::now() < end && place.data.is_dir() {
        asked = !control.wait(Duration::from_millis(50)).is_empty();
        if let Some(running) = &mut child
            && !matches!(running.try_wait(), Ok(None))
        {
            println!("Server Controller: the server has ended");
            child = None;
        }
    }
    if let Some(mut running) = child {
        let _ = control::send(SERVER, b"q");
        let _ = running.wait();
    }
    let _ = std::fs::remove_file(lock_path);
    println!("Server Controller stopped");
    drop(lock);
    0
}

/// Starts the server with its console going to a file that notes.ini names.
fn launch(place: &Place, args: &[OsString]) -> Option<Child> {
    let log = place.support().join(format!("dcntrlr{}.log", file_stamp()));
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&log)
        .ok()?;
    place.set_ini("DominoControllerCurrentLog", &log.to_string_lossy());
    let passed = args.iter().filter(|arg| *arg != "-jc" && *arg != "-c");
    Command::new(place.program("server"))
        .args(passed)
        .current_dir(&place.data)
        .stdin(Stdio::null())
        .stdout(file.try_clone().ok()?)
        .stderr(file)
        .spawn()
        .inspect_err(|error| println!("Server Controller: cannot start the server: {error}"))
        .ok()
}
