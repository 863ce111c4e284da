//! What the benchmark is made of: the host, measurements, and the table.

pub mod host;
pub mod measure;

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
