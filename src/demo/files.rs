//! The files of the demonstration: plain and gzip text, Parquet. No file tells when it was written.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression as ParquetCompression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::FileSummary;
use super::pages::{Output, Pages, Ticket, csv_line};
use crate::diag::{Failure, Result};

/// Rows of a group of the Parquet file: bounds its memory.
const ROWS_PER_GROUP: usize = 131_072;

/// Where an output goes, and how.
struct Layout {
    /// Path below the folder; `{}` is the number of the part.
    path: &'static str,
    header: &'static [&'static str],
    /// A new part begins every so many people; 0 = one file.
    people_per_part: u64,
}

fn layout(output: Output) -> Layout {
    let (path, header, people_per_part): (_, &[&str], _) = match output {
        Output::Contacts => (
            "crm_contacts.csv",
            &[
                "contact_id",
                "civility",
                "first_name",
                "last_name",
                "email",
                "email2",
                "tel_mobile",
                "birth_date",
                "addr1",
                "postcode",
                "city",
                "optin",
                "optin_at",
                "created_at",
                "modified_at",
                "is_test",
            ],
            0,
        ),
        Output::Accounts => (
            "web_accounts.csv",
            &["id", "email", "first_name", "last_name", "phone", "country", "created_at", "modified_at"],
            0,
        ),
        Output::WebEvents => ("web_events/part-{}.ndjson.gz", &[], 2_500),
        Output::Orders => (
            "orders.csv.gz",
            &["order_id", "customer_ref", "email", "ordered_at", "status", "total", "channel", "cart_id"],
            0,
        ),
        Output::OrderLines => ("order_lines.csv.gz", &["order_id", "line_no", "sku", "quantity", "unit_price"], 0),
        Output::Cards => ("loyalty_cards.csv", &["card_no", "contact_id", "email", "phone", "issued_at"], 0),
        Output::EmailEvents => ("email_events/part-{}.ndjson.gz", &[], 5_000),
        Output::Support => ("support_tickets.ndjson", &[], 0),
        Output::Preferences => {
            ("preference_centre.csv", &["proof_id", "email", "phone", "purpose", "channel", "state", "captured_at"], 0)
        }
        Output::Staff => ("staff.csv", &["email"], 0),
        Output::Records => ("truth/records.csv.gz", &["source", "record_key", "person_id"], 0),
        Output::People => (
            "truth/people.csv.gz",
            &["person_id", "household_id", "first_name", "last_name", "birth_date", "persona"],
            0,
        ),
    };
    Layout { path, header, people_per_part }
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

/// One text output: the file that is open, and what was written.
struct Series {
    output: Output,
    layout: Layout,
    open: Option<(PathBuf, Text)>,
    rows: u64,
}

/// All files, while they are written.
pub(crate) struct Files {
    dir: PathBuf,
    series: Vec<Series>,
    tickets: ArrowWriter<File>,
    tickets_schema: Arc<Schema>,
    n_tickets: u64,
}

impl Files {
    /// Makes the folders and the files that are always there.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        for folder in ["", "web_events", "email_events", "truth"] {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).map_err(|error| failure(&folder, error))?;
        }
        let mut series = Vec::new();
        for output in Output::ALL {
            let layout = layout(output);
            if layout.people_per_part > 0 {
                remove_parts(dir, &layout)?;
            }
            series.push(Series { output, layout, open: None, rows: 0 });
        }
        let path = dir.join(TICKETS);
        let tickets_schema = Arc::new(Schema::new(vec![
            Field::new("ticket_id", DataType::Utf8, false),
            Field::new("shop_id", DataType::Utf8, false),
            Field::new("card_no", DataType::Utf8, true),
            Field::new("total_ttc", DataType::Decimal128(10, 2), false),
            Field::new("sold_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        ]));
        let properties = WriterProperties::builder()
            .set_created_by("cohorte demo".to_owned())
            .set_compression(ParquetCompression::ZSTD(ZstdLevel::try_new(9).unwrap_or_default()))
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        let file = File::create(&path).map_err(|error| failure(&path, error))?;
        let tickets = ArrowWriter::try_new(file, Arc::clone(&tickets_schema), Some(properties))
            .map_err(|error| failure(&path, error))?;
        Ok(Self { dir: dir.to_owned(), series, tickets, tickets_schema, n_tickets: 0 })
    }

    /// Writes the rows of the people from number `first` on.
    pub(crate) fn write(&mut self, first: u64, pages: &Pages) -> Result<()> {
        for series in &mut self.series {
            let parts = series.layout.people_per_part;
            if series.open.is_none() || (parts > 0 && first.is_multiple_of(parts)) {
                series.close()?;
                let part = first.checked_div(parts).unwrap_or(0);
                series.begin(&self.dir, &format!("{part:05}"))?;
            }
            if let Some((path, text)) = &mut series.open {
                text.write(pages.text(series.output)).map_err(|error| failure(path, error))?;
                series.rows += pages.rows(series.output);
            }
        }
        self.write_tickets(&pages.tickets)
    }

    /// A text that is not made of people, such as the catalogue.
    pub(crate) fn write_whole(&self, name: &str, text: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, text).map_err(|error| failure(&path, error))
    }

    /// Closes all files and says what is in them.
    pub(crate) fn finish(mut self) -> Result<Vec<FileSummary>> {
        let mut summary = Vec::new();
        for series in &mut self.series {
            series.close()?;
            summary.push(FileSummary { path: series.layout.path.replace("{}", "*"), rows: series.rows });
        }
        self.tickets.close().map_err(|error| failure(&self.dir.join(TICKETS), error))?;
        summary.push(FileSummary { path: TICKETS.to_owned(), rows: self.n_tickets });
        Ok(summary)
    }

    fn write_tickets(&mut self, tickets: &[Ticket]) -> Result<()> {
        if tickets.is_empty() {
            return Ok(());
        }
        self.n_tickets += tickets.len() as u64;
        let path = self.dir.join(TICKETS);
        let totals: Decimal128Array = tickets.iter().map(|ticket| Some(i128::from(ticket.cents))).collect();
        let totals = totals.with_precision_and_scale(10, 2).map_err(|error| failure(&path, error))?;
        let times: TimestampMicrosecondArray = tickets.iter().map(|ticket| Some(ticket.sold_at * 1_000_000)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(tickets.iter().map(|ticket| &ticket.id))),
            Arc::new(StringArray::from_iter_values(tickets.iter().map(|ticket| &ticket.shop))),
            Arc::new(tickets.iter().map(|ticket| ticket.card.as_deref()).collect::<StringArray>()),
            Arc::new(totals),
            Arc::new(times.with_timezone("UTC")),
        ];
        let batch =
            RecordBatch::try_new(Arc::clone(&self.tickets_schema), columns).map_err(|error| failure(&path, error))?;
        self.tickets.write(&batch).map_err(|error| failure(&path, error))
    }
}

const TICKETS: &str = "tickets.parquet";

impl Series {
    fn begin(&mut self, dir: &Path, part: &str) -> Result<()> {
        let path = dir.join(self.layout.path.replace("{}", part));
        let mut text = Text::create(&path).map_err(|error| failure(&path, error))?;
        if !self.layout.header.is_empty() {
            let mut header = Vec::new();
            csv_line(&mut header, self.layout.header);
            text.write(&header).map_err(|error| failure(&path, error))?;
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

/// Removes the parts of an earlier, larger output: nothing else in that folder is ours.
fn remove_parts(dir: &Path, layout: &Layout) -> Result<()> {
    for part in 0_u64.. {
        let path = dir.join(layout.path.replace("{}", &format!("{part:05}")));
        if !path.exists() {
            break;
        }
        fs::remove_file(&path).map_err(|error| failure(&path, error))?;
    }
    Ok(())
}

fn failure(path: &Path, cause: impl std::fmt::Display) -> Failure {
    Failure::world("W901", format!("writing `{}`", path.display()), cause)
        .help("give a folder that you may write to, with room for about 500 bytes per customer")
}
