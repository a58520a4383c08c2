//! The projects that are shipped are read without findings, and what they say of their sources holds together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::base::Checked;
use crate::diag::Findings;
use crate::project::location;
use crate::spec::{Variables, read};
use crate::sql::{SqlText, parse_expression};
use crate::text::Files;

/// Every YAML file below a folder, by path.
fn yaml_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(yaml_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn shipped_projects_are_read_without_findings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for project in [".", "examples/complete-journey", "examples/online-retail", "src/cli/init"] {
        let project = root.join(project);
        let mut files = Files::default();
        let mut add = |path: &Path| files.add(path.display().to_string(), std::fs::read_to_string(path).unwrap());
        let warehouse = add(&project.join("warehouse.yaml"));
        let models: Vec<_> = yaml_below(&project.join("models")).iter().map(|path| add(path)).collect();
        assert!(!models.is_empty());
        let mut findings = Findings::default();
        let variables = Variables { vars: BTreeMap::new(), env: Some(BTreeMap::new()) };
        let spec = read(&files, warehouse, &models, None, variables, &mut findings);
        for named in spec.sources.values() {
            assert!(location(named, &mut findings).is_some());
            for sql in named.spec.filter.iter().chain(&named.spec.deleted) {
                assert!(parse_expression(SqlText::new(&files, sql)).is_ok(), "{}", sql.value);
            }
        }
        let checked = Checked { files, findings: findings.sorted(), project: None };
        assert!(checked.findings.is_empty(), "{}", checked.text());
    }
}
