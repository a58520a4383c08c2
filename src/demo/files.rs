//! The demonstration as text: CSV and JSON, plain or gzip, and one file of Parquet. No file tells when it was written.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::columns::Table;
use super::rows::{Output, Row, Source};
use super::text::{csv_row, json_row};
use super::{FileSummary, failure, make_folder, remove_parts};
use crate::diag::Result;

/// The tickets of the shops come as Parquet.
const TICKETS: &str = "tickets.parquet";

/// How rows are written.
enum Form {
    Csv,
    Json,
}

/// Where a source goes, and how.
struct Layout {
    /// Path below the folder; `{}` is the number of the part.
    path: &'static str,
    form: Form,
    /// A new part begins every so many people; 0 = one file.
    people_per_part: u64,
}

/// Layouts of the sources that are text.
fn layout(source: Source) -> Option<Layout> {
    let (path, form, people_per_part) = match source {
        Source::Contacts => ("crm_contacts.csv", Form::Csv, 0),
        Source::Accounts => ("web_accounts.csv", Form::Csv, 0),
        Source::WebEvents => ("web_events/part-{}.ndjson.gz", Form::Json, 2_500),
        Source::Orders => ("orders.csv.gz", Form::Csv, 0),
        Source::OrderLines => ("order_lines.csv.gz", Form::Csv, 0),
        Source::Cards => ("loyalty_cards.csv", Form::Csv, 0),
        Source::EmailEvents => ("email_events/part-{}.ndjson.gz", Form::Json, 5_000),
        Source::Support => ("support_tickets.ndjson", Form::Json, 0),
        Source::Preferences => ("preference_centre.csv", Form::Csv, 0),
        Source::Staff => ("staff.csv", Form::Csv, 0),
        Source::Records => ("truth/records.csv.gz", Form::Csv, 0),
        Source::People => ("truth/people.csv.gz", Form::Csv, 0),
        Source::Products => ("products.csv", Form::Csv, 0),
        Source::Tickets => return None,
    };
    Some(Layout { path, form, people_per_part })
}

/// A text file, packed where its name says so.
enum Text {
    Plain(BufWriter<File>),
    Packed(Box<GzEncoder<BufWriter<File>>>),
}

impl Text {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        Ok(if path.extension().is_some_and(|extension| extension == "gz") {
            Self::Packed(Box::new(GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::new(9))))
        } else {
            Self::Plain(file)
        })
    }

    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(text),
            Self::Packed(file) => file.write_all(text),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Packed(file) => file.finish()?.flush(),
        }
    }
}

/// A text source: the rows that wait to be written, and the file that is open.
struct Series {
    source: Source,
    layout: Layout,
    page: Vec<u8>,
    waiting: u64,
    rows: u64,
    open: Option<(PathBuf, Text)>,
}

impl Series {
    fn put<R: Row>(&mut self, row: &R) {
        match self.layout.form {
            Form::Csv => csv_row(&mut self.page, row),
            Form::Json => json_row(&mut self.page, row),
        }
        self.waiting += 1;
    }

    /// Writes what waits: rows of the people from number `first` on.
    fn write(&mut self, dir: &Path, first: u64) -> Result<()> {
        let parts = self.layout.people_per_part;
        if self.open.is_none() || (parts > 0 && first.is_multiple_of(parts)) {
            self.close()?;
            let part = first.checked_div(parts).unwrap_or(0);
            self.begin(dir, &format!("{part:05}"))?;
        }
        if let Some((path, text)) = &mut self.open {
            text.write(&self.page).map_err(|error| failure(path, error))?;
        }
        self.page.clear();
        self.rows += std::mem::take(&mut self.waiting);
        Ok(())
    }

    fn begin(&mut self, dir: &Path, part: &str) -> Result<()> {
        let path = dir.join(self.layout.path.replace("{}", part));
        let mut text = Text::create(&path).map_err(|error| failure(&path, error))?;
        if matches!(self.layout.form, Form::Csv) {
            let names: Vec<_> = self.source.columns().into_iter().map(|column| column.name).collect();
            let header = names.join(",") + "\n";
            text.write(header.as_bytes()).map_err(|error| failure(&path, error))?;
        }
        self.open = Some((path, text));
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        match self.open.take() {
            Some((path, text)) => text.finish().map_err(|error| failure(&path, error)),
            None => Ok(()),
        }
    }
}

/// All files, while they are written.
pub(crate) struct Files {
    dir: PathBuf,
    series: Vec<Series>,
    tickets: Table,
}

impl Files {
    /// Makes the folders and the file that is open throughout.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        for folder in ["", "web_events", "email_events", "truth"] {
            make_folder(&dir.join(folder))?;
        }
        let mut series = Vec::new();
        for &source in Source::ALL {
            let Some(layout) = layout(source) else { continue };
            if layout.people_per_part > 0 {
                remove_parts(dir, layout.path)?;
            }
            series.push(Series { source, layout, page: Vec::new(), waiting: 0, rows: 0, open: None });
        }
        let tickets = Table::create_small(dir.join(TICKETS), Source::Tickets)?;
        Ok(Self { dir: dir.to_owned(), series, tickets })
    }

    /// Writes the rows that were put since: those of the people from number `first` on.
    pub(crate) fn write(&mut self, first: u64) -> Result<()> {
        for series in &mut self.series {
            series.write(&self.dir, first)?;
        }
        self.tickets.write()
    }

    /// Closes all files and says what is in them.
    pub(crate) fn finish(mut self) -> Result<Vec<FileSummary>> {
        let mut summary = Vec::new();
        for series in &mut self.series {
            series.close()?;
            summary.push(FileSummary { path: series.layout.path.replace("{}", "*"), rows: series.rows });
        }
        summary.push(FileSummary { path: TICKETS.to_owned(), rows: self.tickets.close()? });
        Ok(summary)
    }
}

impl Output for Files {
    fn put<R: Row>(&mut self, row: &R) {
        match self.series.iter_mut().find(|series| series.source == R::SOURCE) {
            Some(series) => series.put(row),
            None => self.tickets.put(row),
        }
    }
}
