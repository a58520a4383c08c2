//! Load: files into a source's table, under the lease.

use std::path::Path;

use super::opened::{Read, read};
use super::recorded;
use super::request::{Request, Stopped};
use super::stored::open_stored;
use crate::diag::{Failure, Findings, nearest};
use crate::engine::readers::{self, Load, Loaded};
use crate::project::{self, Location};
use crate::store::{Lease, LeaseOptions};

/// Adds the rows of files to the table of a source; files that were loaded before are skipped. Relative files start at `base`.
pub async fn load(request: &Request, source: &str, files: &[String], base: &Path) -> Result<Loaded, Stopped> {
    let stored = open_stored(request)?;
    let Read { files: texts, spec, findings } = read(request)?;
    let doing = format!("loading files into `{source}`");
    let Some(named) = spec.sources.get(source) else {
        if findings.has_errors() {
            return Err(Stopped::Findings(Box::new(texts), findings.sorted()));
        }
        let near = nearest(source, spec.sources.keys().map(String::as_str));
        let help = near.map_or("`cohorte graph -s 'sources:*'` lists the sources".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
        return Err(Failure::project("E140", doing, format!("there is no source `{source}`")).help(help).into());
    };
    let mut findings = Findings::default();
    let located = project::location(named, &mut findings);
    let Some((location, types, _)) = located.filter(|_| !findings.has_errors()) else {
        return Err(Stopped::Findings(Box::new(texts), findings.sorted()));
    };
    let Location::Table(table) = location else {
        let failure = Failure::project(
            "E144",
            doing,
            format!("the source `{source}` reads its files where they are, with `path:`"),
        )
        .help("add the files to that path; or give the source a `table:`, such as `table: raw/orders`, and load them");
        return Err(failure.into());
    };
    let zone =
        named.spec.timezone.as_ref().and_then(|zone| zone.value.parse().ok()).unwrap_or(stored.settings.timezone);
    let terms = LeaseOptions::new("cohorte load", chrono::Utc::now()).waiting(stored.wait);
    let lease = Lease::acquire(&stored.warehouse, terms).await?;
    let load = Load {
        warehouse: &stored.warehouse,
        session: &stored.session,
        base,
        source,
        table: &table,
        types: &types,
        timezone: Some(zone),
        run: None,
    };
    recorded::killed(&stored.warehouse, &stored.session, &lease).await?;
    let loaded = readers::load(&load, files).await;
    let released = lease.release().await;
    let loaded = loaded?;
    released?;
    Ok(loaded)
}
