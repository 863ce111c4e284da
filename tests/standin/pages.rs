//! Database pages: numbered, checksummed blocks that show whether a shutdown's
//! last writes have reached the disk. Written buffered, without any fsync.

use std::io::{BufWriter, Write};
use std::path::Path;

const SIZE: usize = 4096;

/// Writes `total` pages, replacing the file.
pub fn write(path: &Path, total: u64) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(256 * SIZE, std::fs::File::create(path)?);
    for number in 0..total {
        out.write_all(&page(number, total))?;
    }
    out.flush()
}

/// Checks every page and that none is missing; the number of pages, or what is
/// wrong with which one.
pub fn check(path: &Path) -> Result<u64, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let pages = bytes.chunks(SIZE);
    let found = pages.len() as u64;
    let mut total = found;
    for (number, read) in (0u64..).zip(pages) {
        if number == 0 {
            total = read.get(8..16).map_or(0, |field| {
                field
                    .iter()
                    .rev()
                    .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
            });
        }
        if read != page(number, total).as_slice() {
            return Err(format!("{}: page {number} is damaged", path.display()));
        }
    }
    if found != total {
        return Err(format!("{}: {found} pages of {total}", path.display()));
    }
    Ok(found)
}

/// Number, total, filling, checksum; all little-endian.
fn page(number: u64, total: u64) -> Vec<u8> {
    let mut page = Vec::with_capacity(SIZE);
    page.extend_from_slice(&number.to_le_bytes());
    page.extend_from_slice(&total.to_le_bytes());
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while page.len() < SIZE - 8 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        page.extend_from_slice(&state.to_le_bytes());
    }
    let sum = hash(&page);
    page.extend_from_slice(&sum.to_le_bytes());
    page
}

/// FNV-1a, 64 bits.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::{SIZE, check, write};

    #[test]
    fn a_missing_or_changed_page_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pages.nsf");
        write(&path, 5).unwrap();
        assert_eq!(check(&path), Ok(5));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..4 * SIZE]).unwrap();
        assert!(check(&path).unwrap_err().contains("4 pages of 5"));
        let mut changed = whole;
        changed[2 * SIZE + 100] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert!(check(&path).unwrap_err().contains("page 2"));
    }
}
