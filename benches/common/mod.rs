//! What the benchmark is made of: the host, measurements, and the table.

pub mod host;
pub mod measure;

use std::io;
use std::process::ExitCode;

/// A benchmark's main: measures, prints the table, fails where a limit is
/// missed or something could not be measured.
pub fn table_of(measure: fn(&mut Table) -> io::Result<()>) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Under the name of a Domino program this file is that program.
    if let Some(code) = crate::standin::dispatch(&arguments) {
        return ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1));
    }
    let mut table = Table::default();
    let measured = measure(&mut table);
    crate::support::run_directory::remove();
    let kept = table.print();
    if let Err(error) = &measured {
        eprintln!("bench: {error}");
    }
    ExitCode::from(u8::from(!kept || measured.is_err()))
}

/// Rows of what, ours, other and limit. The verdict is none where something
/// was not measured.
#[derive(Default)]
pub struct Table(Vec<([String; 4], Option<bool>)>);

impl Table {
    /// Adds a row.
    pub fn row(&mut self, cells: [&str; 4], kept: Option<bool>) {
        self.0.push((cells.map(str::to_owned), kept));
    }

    /// Prints it; whether every limit that was measured is kept.
    pub fn print(&self) -> bool {
        let head = ["what", "ours", "other", "limit"].map(str::to_owned);
        let line = |cells: &[String; 4], verdict: &str| {
            for (column, cell) in cells.iter().enumerate() {
                let lengths = self.0.iter().map(|(cells, _)| cells[column].len());
                print!("{cell:0$}  ", lengths.max().unwrap_or(0));
            }
            println!("{verdict}");
        };
        line(&head, "verdict");
        for (cells, kept) in &self.0 {
            let words = ["MISSED", "kept"];
            line(
                cells,
                kept.map_or("NOT MEASURED", |kept| words[usize::from(kept)]),
            );
        }
        self.0.iter().all(|(_, kept)| *kept != Some(false))
    }
}

/// The original's figure, where it was given.
pub fn of_original(unit: &str, original: Option<f64>) -> String {
    original.map_or("no original given".into(), |figure| {
        format!("{figure:.2} {unit} original")
    })
}
