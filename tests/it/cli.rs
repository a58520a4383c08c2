//! The real executable: what it prints where, and how it ends.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::{assert_snapshot, with_settings};

/// `cohorte` in a folder, with an environment of its own.
fn cohorte(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
    command.args(arguments).current_dir(dir);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// Runs it and writes down all that can be seen from outside.
fn transcript(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let code = output.status.code().unwrap();
    format!("exit code: {code}\n----- stdout -----\n{stdout}----- stderr -----\n{stderr}")
}

fn snapshot_settings(run: impl FnOnce()) {
    with_settings!({filters => vec![
        (r"cohorte \d+\.\d+\.\d+", "cohorte [VERSION]"),
        (r"/tmp/\.tmp\w+", "[TMP]"),
        ("os error \\d+", "os error [N]"),
    ]}, { run() });
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix(".tmp").tempdir_in("/tmp").unwrap()
}

#[test]
fn the_version_is_data() {
    let dir = folder();
    snapshot_settings(|| {
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["--version"])), @r"
        exit code: 0
        ----- stdout -----
        cohorte [VERSION]
        ----- stderr -----
        ");
    });
}

#[test]
fn help_lists_every_verb() {
    let dir = folder();
    let output = cohorte(dir.path(), &["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for verb in [
        "init",
        "load",
        "check",
        "compile",
        "plan",
        "build",
        "sync",
        "run",
        "show",
        "query",
        "runs",
        "receipts",
        "connector",
        "schema",
        "graph",
        "explain",
        "demo",
        "completions",
    ] {
        assert!(help.lines().any(|line| line.split_whitespace().next() == Some(verb)), "{verb} is missing:\n{help}");
    }
    assert!(help.contains("Exit codes:"));
}

#[test]
fn schemas_are_those_that_are_committed() {
    let dir = folder();
    for (arguments, file) in [(&["schema"][..], "cohorte"), (&["schema", "--connector"][..], "connector")] {
        let path = format!("{}/schema/{file}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let output = cohorte(dir.path(), arguments).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), fs::read_to_string(path).unwrap().trim_end());
    }
}

#[test]
fn a_wrong_use_ends_with_1_and_suggests() {
    let dir = folder();
    snapshot_settings(|| {
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["biuld"])), @r"
        exit code: 1
        ----- stdout -----
        ----- stderr -----
        error: unrecognized subcommand 'biuld'

          tip: a similar subcommand exists: 'build'

        Usage: cohorte [OPTIONS] <COMMAND>

        For more information, try '--help'.
        ");
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["build", "--as-of", "yesterday"])), @r"
        exit code: 1
        ----- stdout -----
        ----- stderr -----
        error: invalid value 'yesterday' for '--as-of <TIME>': write a date `2026-01-15` or a time `2026-01-15T09:00:00Z`

        For more information, try '--help'.
        ");
    });
}

#[test]
fn explain_prints_the_page_of_a_code() {
    let dir = folder();
    let output = cohorte(dir.path(), &["explain", "e001"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), include_str!("../../src/diag/codes/E001.md"));
    assert!(output.stderr.is_empty());

    let list = String::from_utf8(cohorte(dir.path(), &["explain"]).output().unwrap().stdout).unwrap();
    assert!(list.lines().any(|line| line == "E001  unknown error code"), "{list}");
}

#[test]
fn an_unknown_code_is_answered_with_the_nearest() {
    let dir = folder();
    snapshot_settings(|| {
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["explain", "E0O1"])), @r"
        exit code: 1
        ----- stdout -----
        ----- stderr -----
        error[E001]: looking up the code `E0O1` failed
         |
         = cause: there is no such code
         = help: did you mean `E001`? `cohorte explain` lists all codes
        ");
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["--format", "json", "explain", "zzz"])), @r#"
        exit code: 1
        ----- stdout -----
        ----- stderr -----
        {"kind":"failure","code":"E001","message":"looking up the code `ZZZ` failed: there is no such code","doing":"looking up the code `ZZZ`","cause":"there is no such code","help":"`cohorte explain` lists all codes","exit_code":1}
        "#);
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["-qq", "explain", "zzz"])), @r"
        exit code: 1
        ----- stdout -----
        ----- stderr -----
        ");
    });
}

#[test]
fn colour_is_given_where_it_is_asked_for() {
    let dir = folder();
    let coloured = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = cohorte(dir.path(), arguments);
        command.envs(variable);
        transcript(&mut command).contains('\u{1b}')
    };
    assert!(!coloured(&["explain", "zzz"], None));
    assert!(coloured(&["--color", "always", "explain", "zzz"], None));
    assert!(coloured(&["explain", "zzz"], Some(("CLICOLOR_FORCE", "1"))));
    assert!(!coloured(&["--color", "never", "explain", "zzz"], Some(("CLICOLOR_FORCE", "1"))));
}

#[test]
fn init_writes_a_project_once_and_replaces_nothing() {
    let dir = folder();
    snapshot_settings(|| {
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["init", "Corner Shop"])), @r"
        exit code: 0
        ----- stdout -----
        ----- stderr -----
        The project `corner_shop` is in `Corner Shop`:

          warehouse.yaml
          models/customers.yaml
          data/contacts.csv
          data/orders.csv
          .gitignore

        Next: cd 'Corner Shop' && cohorte run
        ");
    });
    let project = dir.path().join("Corner Shop");
    let warehouse = fs::read_to_string(project.join("warehouse.yaml")).unwrap();
    assert!(warehouse.contains("\nname: corner_shop\n"), "{warehouse}");
    assert!(project.join("data/contacts.csv").is_file());

    // The same again changes nothing; a file that was edited is not replaced, and nothing else is written either.
    assert!(cohorte(dir.path(), &["-q", "init", "Corner Shop"]).status().unwrap().success());
    fs::write(project.join("models/customers.yaml"), "segments: {}\n").unwrap();
    fs::remove_file(project.join("warehouse.yaml")).unwrap();
    snapshot_settings(|| {
        // E002
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["init", "Corner Shop"])), @r"
        exit code: 1
        ----- stdout -----
        ----- stderr -----
        error[E002]: making a new project in `Corner Shop` failed
         |
         = cause: there is already a file `models/customers.yaml`
         = help: choose an empty or a new folder: `cohorte init my_shop`
        ");
    });
    assert_eq!(fs::read_to_string(project.join("models/customers.yaml")).unwrap(), "segments: {}\n");
    assert!(!project.join("warehouse.yaml").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_a_failure_of_the_world() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").unwrap();
    snapshot_settings(|| {
        // W001
        assert_snapshot!(transcript(&mut cohorte(dir.path(), &["init", "file/shop"])), @r"
        exit code: 2
        ----- stdout -----
        ----- stderr -----
        error[W001]: making the folder `file/shop` failed
         |
         = cause: Not a directory (os error [N])
         = help: check that you may write there and that the disk is not full
        ");
    });
}

#[test]
fn completions_know_the_verbs() {
    let dir = folder();
    for shell in ["bash", "zsh", "fish"] {
        let output = cohorte(dir.path(), &["completions", shell]).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains("receipts"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = folder();
    let mut child =
        cohorte(dir.path(), &["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}
