//! The verdict for Arcserve's Linux agent, which shows the first line of the
//! file that `D2D_PREPOST_OUTPUT` names in the job's activity log.

use crate::os::files::fill_own;
use crate::os::replace::only_root_changes;
use crate::os::users::effective_uid;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

/// The variable that names the file.
const VARIABLE: &str = "D2D_PREPOST_OUTPUT";

/// Writes `line` where the agent looks for it; nothing where the environment
/// names no file. A file that others could have put there is refused: root
/// writes here.
pub fn tell(environment: &[(OsString, OsString)], line: &str) -> io::Result<()> {
    let named = environment
        .iter()
        .find(|(name, value)| name == VARIABLE && !value.is_empty());
    let Some((_, file)) = named else {
        return Ok(());
    };
    let path = Path::new(file);
    if !path.is_absolute() || (effective_uid() == 0 && !only_root_changes(path)?) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} ({VARIABLE}) is no file that root alone can change; nothing was written to it",
                path.display()
            ),
        ));
    }
    let line = crate::error::shown_whole(OsStr::new(line));
    fill_own(path, format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_goes_where_the_environment_says() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("out");
        let set = |path: &Path| vec![(VARIABLE.into(), path.as_os_str().to_owned())];
        tell(&set(&file), "frozen\nin 3 s").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"frozen\\nin 3 s\n");
        tell(&[], "nobody asked").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(tell(&set(&link), "x").is_err());
        assert!(tell(&set(Path::new("out")), "x").is_err());
    }
}
