//! Where rows go: into text, a table or JSON lines.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use super::row::{Cell, Row};
use jiff::tz::TimeZone;

/// How rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line of words a row.
    Text,
    /// Aligned columns.
    Table,
    /// A JSON object a line.
    Json,
}

/// What a line is, for those who see colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It names what the lines below are about.
    Heading,
    /// It says that something is wrong.
    Bad,
    /// It says that something is not as it should be.
    Caution,
}

/// The most rows that a table holds back to align its columns; a longer one goes on under a new head.
const ROWS_A_TABLE: usize = 1000;

/// So many columns hold the tables of `check` as they are.
const ROOMY: u16 = 130;

/// The widest cell, in characters, that is never broken: times, numbers and words stay whole, however narrow the
/// terminal is. The table may then be wider than the terminal.
const NEVER_BROKEN: usize = 30;

/// A column that is broken is not narrower than this: where there is less room the table is wider than the terminal.
const SLIVER: usize = 16;

/// Blanks between columns.
const GAP: usize = 2;

/// Turns rows into bytes of one format.
pub struct Reporter {
    format: Format,
    zone: TimeZone,
    /// Columns of the terminal; `None` where there is none to fit into.
    width: Option<u16>,
    color: bool,
    table: Option<Columns>,
}

struct Columns {
    kind: &'static str,
    titles: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Reporter {
    /// A reporter of the given format; times in text are shown in `zone`, wide columns of tables are broken so that
    /// these fit into `width` columns if they can.
    pub fn new(format: Format, zone: TimeZone, width: Option<u16>) -> Self {
        Self { format, zone, width, color: false, table: None }
    }

    /// Another that shows rows in the same way; what this one holds back for a table stays here.
    pub fn twin(&self) -> Self {
        Self { format: self.format, zone: self.zone.clone(), width: self.width, color: self.color, table: None }
    }

    /// The same in another format.
    pub fn in_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The same with colours in text.
    pub fn with_color(mut self, color: bool) -> Self {
        self.color = color;
        self
    }

    /// Appends what `write` appends, in the tone given: bare where there are no colours.
    pub fn toned(&self, out: &mut Vec<u8>, tone: Tone, write: impl FnOnce(&mut Vec<u8>)) {
        let style = match tone {
            Tone::Heading => anstyle::Style::new().bold(),
            Tone::Bad => anstyle::AnsiColor::Red.on_default().bold(),
            Tone::Caution => anstyle::AnsiColor::Yellow.on_default(),
        };
        if self.color {
            out.extend_from_slice(style.render().to_string().as_bytes());
        }
        write(out);
        if self.color {
            out.extend_from_slice(style.render_reset().to_string().as_bytes());
        }
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Columns of the terminal; `None` where there is none to fit into.
    pub fn width(&self) -> Option<u16> {
        self.width
    }

    /// Whether tables leave out what they can do without, because there is no room.
    pub fn is_narrow_table(&self) -> bool {
        self.format == Format::Table && self.width.is_some_and(|width| width < ROOMY)
    }

    /// The zone of times in text.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Appends a row; in a table it may be held back until [`Reporter::flush`].
    pub fn row(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        match self.format {
            Format::Json => row.json(out),
            Format::Text => match row.tone {
                Some(tone) => {
                    self.toned(out, tone, |out| {
                        row.text(out, &self.zone);
                        // The colour ends before the line does.
                        out.pop();
                    });
                    out.push(b'\n');
                }
                None => row.text(out, &self.zone),
            },
            Format::Table => {
                let titles: Vec<_> = row.titles().collect();
                let fits = |table: &Columns| {
                    table.kind == row.kind && table.titles == titles && table.rows.len() < ROWS_A_TABLE
                };
                if !self.table.as_ref().is_some_and(fits) {
                    self.flush(out);
                }
                let cells = row.cells(&self.zone).collect();
                let table = self.table.get_or_insert_with(|| Columns { kind: row.kind, titles, rows: Vec::new() });
                table.rows.push(cells);
            }
        }
    }

    /// Appends a line of words that text and table have and JSON has not. Tables before it are finished first.
    pub fn words(&mut self, out: &mut Vec<u8>, tone: Option<Tone>, words: &[u8]) {
        if self.format != Format::Json {
            self.flush(out);
            match tone {
                Some(tone) => self.toned(out, tone, |out| out.extend_from_slice(words)),
                None => out.extend_from_slice(words),
            }
            out.push(b'\n');
        }
    }

    /// Appends what a table still holds back.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let Some(columns) = self.table.take() else { return };
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(match self.width {
            Some(_) => ContentArrangement::Dynamic,
            None => ContentArrangement::Disabled,
        });
        if let Some(width) = self.width {
            table.set_width(width);
        }
        table.set_header(columns.titles.iter().copied());
        let is_number: Vec<bool> =
            (0..columns.titles.len()).map(|at| columns.rows.iter().any(|row| row[at].is_number)).collect();
        let is_wide = |at: usize| columns.rows.iter().any(|row| row[at].text.chars().count() > NEVER_BROKEN);
        let width_of = |at: usize| {
            let cells = columns.rows.iter().map(|row| row[at].text.as_str());
            cells.chain([columns.titles[at]]).map(|text| text.chars().count() + GAP).max().unwrap_or(0)
        };
        let (wide, short): (Vec<_>, Vec<_>) = (0..columns.titles.len()).partition(|at| is_wide(*at));
        // What is left for each column that may be broken.
        let room = usize::from(self.width.unwrap_or(u16::MAX)).saturating_sub(short.into_iter().map(width_of).sum());
        let share = room / wide.len().max(1);
        let least = if share < SLIVER { NEVER_BROKEN } else { share.min(NEVER_BROKEN) } as u16;
        let constraints: Vec<_> = (0..columns.titles.len())
            .map(|at| match wide.contains(&at) {
                true => ColumnConstraint::LowerBoundary(Width::Fixed(least)),
                false => ColumnConstraint::ContentWidth,
            })
            .collect();
        for row in columns.rows {
            table.add_row(row.into_iter().map(|cell| cell.text));
        }
        for ((column, is_number), constraint) in table.column_iter_mut().zip(is_number).zip(constraints) {
            column.set_padding((0, GAP as u16)).set_constraint(constraint);
            if is_number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.lines() {
            out.extend_from_slice(line.trim_end().as_bytes());
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::row::{Field, Value};

    /// A table of one row in a terminal of 80 columns.
    fn table(note: &str) -> String {
        let mut reporter = Reporter::new(Format::Table, TimeZone::UTC, Some(80));
        let fields = [
            Field::new("offset", "offset", Value::Int(9_223_372_036_854_775_807)),
            Field::new("firstTimestamp", "first timestamp", Value::Time(1_700_000_000_123)),
            Field::new("lastTimestamp", "last timestamp", Value::Time(1_700_000_000_456)),
            Field::new("producer", "producer", Value::Int(9_223_372_036_854_775_806)),
            Field::new("note", "note", Value::Word(note)),
        ];
        let mut out = Vec::new();
        reporter.row(&mut out, &Row::new("batch", &fields));
        reporter.flush(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_of_short_cells_stay_whole_on_a_narrow_terminal() {
        let short = table("thirty characters and no more!");
        assert_eq!(short.lines().count(), 2, "{short}");
        let row = short.lines().last().unwrap();
        for cell in ["9223372036854775807", "2023-11-14T22:13:20.123Z", "2023-11-14T22:13:20.456Z", "and no more!"] {
            assert!(row.contains(cell), "{short}");
        }
    }

    #[test]
    fn a_table_with_a_column_that_can_be_broken_fits_the_terminal() {
        let mut reporter = Reporter::new(Format::Table, TimeZone::UTC, Some(80));
        let fields = [
            Field::new("partition", "partition", Value::Word("__transaction_state-0")),
            Field::new("size", "size", Value::Word("3.6 KiB")),
            Field::new("highWatermark", "high watermark", Value::Int(27)),
            Field::new("logEndOffset", "log end", Value::Int(27)),
            Field::new("note", "note", Value::Word("torn tail of 28 B; high watermark beyond the log end")),
        ];
        let mut out = Vec::new();
        reporter.row(&mut out, &Row::new("partition", &fields));
        reporter.flush(&mut out);
        let table = String::from_utf8(out).unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(table.contains("torn tail of 28 B;\n"), "{table}");
    }

    #[test]
    fn only_a_wide_column_is_broken_and_not_into_slivers() {
        let words = "word ".repeat(20);
        let wide = table(words.trim_end());
        let lines: Vec<&str> = wide.lines().collect();
        assert!(lines[1].contains("2023-11-14T22:13:20.123Z  2023-11-14T22:13:20.456Z"), "{wide}");
        assert!(lines[1].ends_with("word word word word word"), "{wide}");
        assert!((4..=6).contains(&lines.len()), "{wide}");
    }
}
