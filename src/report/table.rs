//! Aligned text tables: names to the left, figures to the right, no lines but one under the headings.

use unicode_width::UnicodeWidthStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A table under construction: declare its columns first, then add rows.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of text.
    #[must_use]
    pub fn left(mut self, heading: impl Into<String>) -> Self {
        self.columns.push((heading.into(), Side::Left));
        self
    }

    /// Adds a column of figures.
    #[must_use]
    pub fn right(mut self, heading: impl Into<String>) -> Self {
        self.columns.push((heading.into(), Side::Right));
        self
    }

    /// Adds a row. Missing cells are empty, cells beyond the last column are left out.
    pub fn row<Cell: Into<String>>(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().take(self.columns.len()).map(|cell| visible(&cell.into())).collect());
    }

    /// Has it no rows?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, each with a newline. Without headings there is no head.
    #[must_use]
    pub fn text(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| visible(heading)).collect();
        let headed = headings.iter().any(|heading| !heading.is_empty());
        let mut widths: Vec<usize> = headings.iter().map(|heading| heading.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut text = String::new();
        if headed {
            self.write_line(&mut text, &widths, &headings);
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            self.write_line(&mut text, &widths, &rules);
        }
        for row in &self.rows {
            self.write_line(&mut text, &widths, row);
        }
        text
    }

    fn write_line(&self, text: &mut String, widths: &[usize], cells: &[String]) {
        let mut line = String::new();
        for (index, (width, (_, side))) in widths.iter().zip(&self.columns).enumerate() {
            let cell = cells.get(index).map_or("", String::as_str);
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            if index > 0 {
                line.push_str("  ");
            }
            match side {
                Side::Left => line.extend([cell, &padding]),
                Side::Right => line.extend([padding.as_str(), cell]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Control characters made visible: what stands in the data never steers the terminal or breaks a line.
fn visible(cell: &str) -> String {
    if !cell.contains(char::is_control) {
        return cell.to_owned();
    }
    let mut text = String::with_capacity(cell.len());
    for character in cell.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::Table;

    #[test]
    fn names_are_left_and_figures_right() {
        let mut table = Table::new().left("segment").right("size").right("change").left("why");
        table.row(["hot_prospects", "1,204", "+12", ""]);
        table.row(["été", "9", "-3", "data changed"]);
        table.row(["漢字"]);
        assert_snapshot!(table.text(), @r"
        segment         size  change  why
        -------------  -----  ------  ------------
        hot_prospects  1,204     +12
        été                9      -3  data changed
        漢字
        ");
    }

    #[test]
    fn a_table_without_headings_has_no_head() {
        let mut table = Table::new().left("").right("");
        table.row(["a", "1"]);
        table.row(["bcd", "22"]);
        assert_eq!(table.text(), "a     1\nbcd  22\n");
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        let mut table = Table::new().left("");
        table.row(["a\u{1b}[2J\nb"]);
        assert_eq!(table.text(), "a\\u{1b}[2J\\nb\n");
    }
}
