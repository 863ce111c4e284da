//! How the shipped program is linked.

#![allow(clippy::print_stdout)]

use std::io;
use std::path::Path;
use std::process::Command;

/// The release profile aborts on a panic. Unwind tables would then serve
/// backtraces only, whose names are stripped, and be a tenth of the file.
/// (`-C force-unwind-tables=no` has no effect here: the standard library's
/// debug information brings the tables back when all is linked as one module.)
const WITHOUT_UNWIND_TABLES: &str = "SECTIONS {
  /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table .gcc_except_table.*) }
} INSERT AFTER .text;
";

/// A static program relocates itself, by code of the glibc that is linked in:
/// that understands packed relocations from 2.36 on.
fn packed_relocations_are_understood() -> bool {
    let Ok(told) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let number = text.trim().trim_start_matches("glibc ");
    let mut parts = number.split('.').map(|part| part.parse::<u32>().ok());
    matches!((parts.next(), parts.next()), (Some(Some(2)), Some(Some(minor))) if minor >= 36)
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).map_err(io::Error::other);
    if variable("PROFILE")? == "release" {
        let script = Path::new(&variable("OUT_DIR")?).join("release.ld");
        std::fs::write(&script, WITHOUT_UNWIND_TABLES)?;
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
        let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        if flags.contains("linker-features=-lld") {
            // GNU ld, which ci/static asks, knows none of what follows.
            return Ok(());
        }
        // Functions with the same code become one.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        if packed_relocations_are_understood() {
            println!("cargo::rustc-link-arg-bins=-Wl,--pack-dyn-relocs=relr");
        } else {
            println!(
                "cargo::warning=this host's glibc is older than 2.36: the program will be 100 KB larger"
            );
        }
    }
    Ok(())
}
