//! How the shipped program is linked.

#![allow(clippy::print_stdout)]

use std::io;
use std::path::Path;

/// The release profile aborts on a panic. Unwind tables would then serve
/// backtraces only, whose names are stripped, and be a tenth of the file.
/// (`-C force-unwind-tables=no` has no effect here: the standard library's
/// debug information brings the tables back when all is linked as one module.)
const WITHOUT_UNWIND_TABLES: &str = "SECTIONS {
  /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table .gcc_except_table.*) }
} INSERT AFTER .text;
";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).map_err(io::Error::other);
    if variable("PROFILE")? == "release" {
        let script = Path::new(&variable("OUT_DIR")?).join("release.ld");
        std::fs::write(&script, WITHOUT_UNWIND_TABLES)?;
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
        // Functions with the same code become one: a twentieth of the file.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
    Ok(())
}
