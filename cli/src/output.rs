//! What people and programs read: tables, plain lines, JSON. Text that came from a node is not trusted: on a terminal
//! it must not be able to move the cursor, rename the window or imitate our own lines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::CliError;

/// Spaces between two columns of a table.
const COLUMN_GAP: usize = 2;

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON with the names of the API.
    Json,
    /// Columns with a header, for people.
    Table,
    /// One line an entry, fields separated by tabs, without a header, for scripts.
    Text,
}

/// Standard output, and the form in which it is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    is_terminal: bool,
}

impl Output {
    /// The wanted form, or a table on a terminal and text elsewhere.
    pub(crate) fn new(wanted: Option<Format>) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let format = wanted.unwrap_or(if is_terminal { Format::Table } else { Format::Text });
        Self { format, is_terminal }
    }

    /// Prints text; what a node wrote may be in it.
    pub(crate) fn print(self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        if self.is_terminal {
            stdout.write_all(clean(text).as_bytes())?;
        } else {
            stdout.write_all(text.as_bytes())?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Prints a value as JSON.
    pub(crate) fn print_json(self, value: &impl Serialize) -> Result<(), CliError> {
        let text = json(value)?;
        self.print(&text)
    }

    /// Prints what a call that only does something has done: the answer as JSON, a sentence for people, nothing for scripts.
    pub(crate) fn print_done(self, answer: &impl Serialize, sentence: &str) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.print_json(answer),
            Format::Table => self.print(sentence),
            Format::Text => Ok(()),
        }
    }

    /// Prints a list in the wanted form.
    pub(crate) fn print_list<Entry: Serialize>(
        self,
        entries: &[Entry],
        header: &[&str],
        row: impl Fn(&Entry) -> Vec<String>,
    ) -> Result<(), CliError> {
        let rows = || entries.iter().map(&row).collect::<Vec<_>>();
        match self.format {
            Format::Json => self.print_json(&entries),
            Format::Table => self.print(&table(header, &rows())),
            Format::Text => self.print(&lines(&rows())),
        }
    }
}

/// JSON in which every control character is escaped, so that it is harmless on a terminal and still the same value.
pub(crate) fn json(value: &impl Serialize) -> Result<String, CliError> {
    let mut text = String::new();
    for character in serde_json::to_string_pretty(value)?.chars() {
        // Only line breaks stand between values; any other such character is inside a string.
        if is_harmful(character) {
            // All of them are in the basic plane: four digits suffice. Writing to a String does not fail.
            _ = write!(text, "\\u{:04x}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text.push('\n');
    Ok(text)
}

/// Columns as wide as their widest cell, with a header; the last column is not padded.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let all = || std::iter::once(&header).chain(&rows);
    let width = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + COLUMN_GAP - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One line a row, cells separated by tabs.
pub(crate) fn lines(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>().join("\t") + "\n";
    rows.iter().map(line).collect()
}

/// A cell: nothing in it can break out of its line or column.
fn one_line(cell: &str) -> String {
    clean(&cell.replace(['\n', '\t'], " "))
}

/// Text without what could harm a terminal; line breaks and tabs stay.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|character| *character == '\t' || !is_harmful(*character)).collect()
}

/// One line in which everything that could harm a terminal, or begin another line, is seen as what it is; tabs stay.
pub(crate) fn visible(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        if character == '\n' || (character != '\t' && is_harmful(character)) {
            // Writing to a String does not fail.
            _ = write!(text, "<U+{:04X}>", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text
}

/// Control characters act on the terminal; bidirectional overrides make a line read as what it does not say.
fn is_harmful(character: char) -> bool {
    let reorders = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (character.is_control() && character != '\n') || reorders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        vec![row(["mi-1", "Grüße", ""]), row(["mi-22", "two\nlines\tand \u{1b}[2Jescape", "Online"])]
    }

    #[test]
    fn table_columns_are_as_wide_as_they_must() {
        insta::assert_snapshot!(table(&["NODE", "NAME", "STATUS"], &rows()), @r"
        NODE   NAME                     STATUS
        mi-1   Grüße
        mi-22  two lines and [2Jescape  Online
        ");
        insta::assert_snapshot!(table(&["NODE", "NAME", "STATUS"], &[]), @"NODE  NAME  STATUS");
    }

    #[test]
    fn text_is_tab_separated() {
        assert_eq!(lines(&rows()), "mi-1\tGrüße\t\nmi-22\ttwo lines and [2Jescape\tOnline\n");
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let hostile = "a\tb\r\n\u{1b}]0;title\u{7}\u{9b}31m\u{202e}c\u{7f}\0";
        assert_eq!(clean(hostile), "a\tb\n]0;title31mc");
        let text = json(&serde_json::json!({ "output": hostile })).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "output": "a\tb\r\n\u001b]0;title\u0007\u009b31m\u202ec\u007f\u0000"
        }
        "#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), serde_json::json!({ "output": hostile }));
    }
}
