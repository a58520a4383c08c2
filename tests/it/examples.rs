//! The root project and the examples, run with the real executable; every figure is computed again, independently, in SQL that
//! was written by hand for DuckDB (`tests/oracle`), and every table is read with three other programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that `tests/run` prepares; without it these tests fail, loudly.
fn python() -> String {
    std::env::var("COHORTE_TEST_PYTHON")
        .expect("COHORTE_TEST_PYTHON names a Python with tests/oracle/requirements.txt: run tests/run, or set it")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of a project, so that nothing is written into the repository.
fn project(folder: &Path) -> TempDir {
    let copied = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("warehouse.yaml"), copied.path().join("warehouse.yaml")).unwrap();
    copy(&folder.join("models"), &copied.path().join("models"));
    copy(&folder.join("data"), &copied.path().join("data"));
    copied
}

fn cohorte(project: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cohorte")).arg("--project").arg(project).args(arguments).output().unwrap()
}

fn succeeds(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

fn oracle(script: &str, arguments: &[&str]) -> String {
    let script = repository().join("tests/oracle").join(script);
    succeeds(&Command::new(python()).arg(script).args(arguments).output().unwrap())
}

/// Runs a project's main job and compares everything that can be.
fn run_and_compare(folder: &Path, name: &str, as_of: &str) {
    let copied = project(folder);
    let said = succeeds(&cohorte(copied.path(), &["run", "--as-of", as_of]));
    assert!(said.contains("for the first time"), "{said}");
    let tables = copied.path().join("warehouse/cdp");
    let tables = tables.to_str().unwrap();
    let compared = oracle("compare.py", &[name, tables, "--as-of", as_of]);
    assert!(compared.contains("no difference"), "{compared}");
    let read = oracle("readers.py", &[tables]);
    assert!(read.contains("read alike by duckdb, polars, deltalake"), "{read}");
    // The same run again finds nothing to do and sends nothing.
    let again = succeeds(&cohorte(copied.path(), &["run", "--as-of", as_of]));
    assert!(again.contains("nothing has changed"), "{again}");
}

#[test]
fn the_root_project_equals_independent_figures() {
    run_and_compare(&repository(), "root_project", "2026-11-01T00:00:00Z");
}

#[test]
fn complete_journey_equals_independent_figures() {
    run_and_compare(&repository().join("examples/complete-journey"), "complete_journey", "2018-01-01T00:00:00Z");
}

#[test]
fn online_retail_equals_independent_figures() {
    run_and_compare(&repository().join("examples/online-retail"), "online_retail", "2010-12-10T00:00:00Z");
}
