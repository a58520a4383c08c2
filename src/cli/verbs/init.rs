//! `cohorte init`: a small new project that runs at once, on a dozen invented people. Never replaces a file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::context::quoted;
use crate::cli::{Context, Exit, Format};
use crate::diag::{Failure, Result};

/// (path in the project, text). The project's name is filled in.
const FILES: &[(&str, &str)] = &[
    ("warehouse.yaml", include_str!("../init/warehouse.yaml")),
    ("models/customers.yaml", include_str!("../init/models/customers.yaml")),
    ("data/contacts.csv", include_str!("../init/data/contacts.csv")),
    ("data/orders.csv", include_str!("../init/data/orders.csv")),
    (".gitignore", "warehouse/\noutbox/\n"),
];

/// Stands in the templates where the project's name goes.
const NAME: &str = "my_shop";

/// Write a small new project that runs at once
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder; made where it is missing
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit> {
    let dir = &arguments.dir;
    let name = project_name(dir);
    let files: Vec<(PathBuf, String)> =
        FILES.iter().map(|(path, text)| (dir.join(path), text.replace(NAME, &name))).collect();
    refuse_to_replace(dir, &files)?;
    for (path, text) in &files {
        write(path, text)?;
    }
    tell(dir, &name, context)?;
    Ok(Exit::Done)
}

fn tell(dir: &Path, name: &str, context: &Context) -> Result<()> {
    if context.printer.format() == Format::Json {
        let paths: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        return context.printer.object(&json!({"kind": "project", "name": name, "dir": dir, "files": paths}));
    }
    context.printer.talk(&format!("The project `{name}` is in `{}`:\n", dir.display()));
    for (path, _) in FILES {
        context.printer.talk(&format!("  {path}"));
    }
    let change =
        if dir == Path::new(".") { String::new() } else { format!("cd {} && ", quoted(&dir.display().to_string())) };
    context.printer.talk(&format!("\nNext: {change}cohorte run"));
    Ok(())
}

/// All or nothing: a file that is there with another text stops everything before the first is written.
fn refuse_to_replace(dir: &Path, files: &[(PathBuf, String)]) -> Result<()> {
    for ((path, text), (shown, _)) in files.iter().zip(FILES) {
        let same = fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes());
        if path.symlink_metadata().is_ok() && !same {
            let doing = format!("making a new project in `{}`", dir.display());
            return Err(Failure::project("E002", doing, format!("there is already a file `{shown}`"))
                .help("choose an empty or a new folder: `cohorte init my_shop`"));
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let refused = |doing: &str, path: &Path, error| {
        Failure::world("W001", format!("{doing} `{}`", path.display()), error)
            .help("check that you may write there and that the disk is not full")
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| refused("making the folder", folder, error))?;
    }
    fs::write(path, text).map_err(|error| refused("writing the file", path, error))
}

/// The folder's name in lower case, with `_` for what is no letter and no digit.
fn project_name(dir: &Path) -> String {
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let folder = dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.trim_matches('_');
    // A name of digits alone would be a number in YAML.
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name.to_owned() } else { NAME.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_after_its_folder() {
        for (dir, expected) in [
            ("/tmp/no/such/Maison Test", "maison_test"),
            ("/tmp/no/such/été", "t"),
            ("/tmp/no/such/2026", NAME),
            ("/", NAME),
        ] {
            assert_eq!(project_name(Path::new(dir)), expected, "{dir}");
        }
    }
}
