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

/// The widest cell, in characters, that is not broken: words stay whole, unless the table would be wider than the terminal.
const SELDOM_BROKEN: u16 = 30;

/// The narrowest column, with the space behind it, that cells are broken into.
const NO_SLIVER: u16 = 12;

/// The spaces behind a column.
const GAP: u16 = 2;

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
        let any = |is: fn(&Cell) -> bool| -> Vec<bool> {
            (0..columns.titles.len()).map(|at| columns.rows.iter().any(|row| is(&row[at]))).collect()
        };
        let (is_number, is_whole) = (any(|cell| cell.is_number), any(|cell| cell.is_number || cell.is_time));
        for row in columns.rows {
            table.add_row(row.into_iter().map(|cell| cell.text));
        }
        let widths: Vec<_> = table.column_max_content_widths().into_iter().zip(is_whole).collect();
        let (most, least) = broken(&widths, self.width.unwrap_or(u16::MAX));
        for ((column, is_number), (width, is_whole)) in table.column_iter_mut().zip(is_number).zip(widths) {
            column.set_padding((0, GAP)).set_constraint(match is_whole || width <= most {
                true => ColumnConstraint::ContentWidth,
                false => ColumnConstraint::LowerBoundary(Width::Fixed(least)),
            });
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

/// The widest cells that are not broken, and what the columns of those that are keep at least: their share of what the
/// others leave of the terminal. Where that is a sliver, narrower cells are broken too, but never times and numbers; where
/// these alone do not fit, the table is wider than the terminal. Of each column its width, and whether it stays whole.
fn broken(widths: &[(u16, bool)], terminal: u16) -> (u16, u16) {
    let share = |most: u16| {
        let is_broken = |&&(width, is_whole): &&(u16, bool)| !is_whole && width > most;
        let whole = widths.iter().filter(|column| !is_broken(column));
        let taken = whole.fold(0, |taken: u16, (width, _)| taken.saturating_add(width.saturating_add(GAP)));
        let count = widths.iter().filter(is_broken).count().max(1) as u16;
        terminal.saturating_sub(taken) / count
    };
    let fits = [SELDOM_BROKEN, NO_SLIVER].into_iter().find(|most| share(*most) >= NO_SLIVER);
    fits.map_or((SELDOM_BROKEN, SELDOM_BROKEN), |most| (most, share(most).min(SELDOM_BROKEN)))
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
    fn only_a_wide_column_is_broken_and_not_into_slivers() {
        let words = "word ".repeat(20);
        let wide = table(words.trim_end());
        let lines: Vec<&str> = wide.lines().collect();
        assert!(lines[1].contains("2023-11-14T22:13:20.123Z  2023-11-14T22:13:20.456Z"), "{wide}");
        assert!(lines[1].ends_with("word word word word word"), "{wide}");
        assert!((4..=6).contains(&lines.len()), "{wide}");
    }

    #[test]
    fn two_wide_columns_share_what_the_others_leave_of_the_terminal() {
        let words = "word ".repeat(20);
        let mut reporter = Reporter::new(Format::Table, TimeZone::UTC, Some(80));
        let fields = [
            Field::new("offset", "offset", Value::Int(7)),
            Field::new("timestamp", "timestamp", Value::Time(1_700_000_000_123)),
            Field::new("key", "key", Value::Word(&words)),
            Field::new("value", "value", Value::Word(&words)),
        ];
        let mut out = Vec::new();
        reporter.row(&mut out, &Row::new("record", &fields));
        reporter.flush(&mut out);
        let table = String::from_utf8(out).unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let rows: Vec<_> = table.lines().skip(1).map(|line| line.matches("word").count()).collect();
        assert_eq!(rows, [8; 5], "{table}");
    }
}
