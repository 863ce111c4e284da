//! The pid file: written for init systems that want one, never believed.

use super::tools::Work;
use crate::os::process::Pid;

/// Writes the server's pid. A link or another's file in its place is replaced
/// or said, never written through.
pub fn write(work: &mut Work, server: Pid) {
    let path = work.partition.pid_file();
    if let Err(cause) =
        crate::os::files::write_atomically(&path, format!("{server}\n").as_bytes(), 0o644)
    {
        work.reporter.warn(&format!(
            "cannot write the pid file {}: {cause}; check DOMINO_PID_FILE and, under systemd, RuntimeDirectory= and PIDFile=",
            path.display()
        ));
    }
}

/// Removes it, if it is a file or a link.
pub fn remove(work: &mut Work) {
    let path = work.partition.pid_file();
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => work.reporter.warn(&format!(
            "cannot remove the pid file {}: {cause}",
            path.display()
        )),
    }
}
