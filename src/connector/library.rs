//! The connectors that ship in the binary, and how a file becomes one.

use super::compile::compile;
use super::model::Connector;
use crate::diag::{Finding, Findings};
use crate::spec::connector::ConnectorFile;
use crate::text::{FileId, Files};

/// Name and text of every connector that ships.
pub const SHIPPED: &[(&str, &str)] = &[
    ("google_customer_match", include_str!("../../connectors/google_customer_match.yaml")),
    ("hubspot", include_str!("../../connectors/hubspot.yaml")),
    ("klaviyo", include_str!("../../connectors/klaviyo.yaml")),
    ("mailchimp", include_str!("../../connectors/mailchimp.yaml")),
    ("slack", include_str!("../../connectors/slack.yaml")),
    ("tryton", include_str!("../../connectors/tryton.yaml")),
    ("webhook", include_str!("../../connectors/webhook.yaml")),
];

/// The connector of that name that ships.
#[must_use]
pub fn shipped(name: &str) -> Option<Connector> {
    let (name, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
    let mut files = Files::default();
    let file = files.add(format!("connectors/{name}.yaml"), *text);
    // A test reads all of them: what is wrong with one does not ship.
    read(&files, file, &mut Findings::default())
}

/// Reads a connector's file; everything that is wrong in it is told.
pub fn read(files: &Files, file: FileId, findings: &mut Findings) -> Option<Connector> {
    let written: ConnectorFile = crate::spec::read_file(files, file, findings)?;
    let path = &files.get(file).path;
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".yaml").trim_end_matches(".yml");
    if stem != written.connector.value {
        let message = format!("the connector `{}` is in a file of another name", written.connector.value);
        findings.add(
            Finding::error("E152", message)
                .at(written.connector.span)
                .help(format!("call the file `{}.yaml`", written.connector.value)),
        );
    }
    compile(&written, findings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::connector::{example_requests, run_examples};
    use crate::diag::render::{Look, findings_text};

    /// The file that the guide ends with does what it says.
    #[test]
    fn the_connector_of_the_guide_passes_its_tests() {
        let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connectors.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        let blocks = guide.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        let whole = blocks.filter(|block| block.starts_with("connector:")).last().unwrap();
        let mut files = Files::default();
        let file = files.add("connectors/postbox.yaml", whole.to_owned());
        let mut findings = Findings::default();
        let connector = read(&files, file, &mut findings).map(Arc::new);
        let examples = connector.map_or(0, |connector| run_examples(&connector, &mut findings));
        let told = findings.sorted();
        assert!(told.is_empty(), "{}", findings_text(&files, &told, Look::default()));
        assert_eq!(examples, 3);
    }

    /// What ships reads without a finding, and does what its tests say. The folder is read, so that a changed file needs no compiler.
    #[test]
    fn connectors_that_ship_pass_their_tests() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in &paths {
            let mut files = Files::default();
            let name = path.file_name().unwrap().to_string_lossy();
            let file = files.add(format!("connectors/{name}"), std::fs::read_to_string(path).unwrap());
            let mut findings = Findings::default();
            let connector = read(&files, file, &mut findings).map(Arc::new);
            let examples = connector.as_ref().map_or(0, |connector| run_examples(connector, &mut findings));
            let told = findings.sorted();
            assert!(told.is_empty(), "{}", findings_text(&files, &told, Look::default()));
            assert!(examples > 0, "{name} has no tests");
            let connector = connector.unwrap();
            let made: BTreeSet<String> =
                example_requests(&connector).into_iter().map(|(_, _, request)| request.operation).collect();
            let untested: Vec<&str> = connector.operations().map(|operation| operation.name.as_str()).collect();
            let untested: Vec<&str> = untested.into_iter().filter(|operation| !made.contains(*operation)).collect();
            assert!(untested.is_empty(), "no test of {name} does {untested:?}");
        }
        let shipped: Vec<String> = SHIPPED.iter().map(|(name, _)| format!("{name}.yaml")).collect();
        let there: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(shipped, there, "every file of connectors/ ships, in alphabetical order");
    }
}
