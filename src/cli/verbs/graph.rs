//! `cohorte graph`: prints what is made from what.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::project::{Graph, Kind, Model};
use crate::run;

/// Print the lineage of the models
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The models: `name`, `+name`, `name+`, `tag:x`, `segments:*` [default: all]
    #[arg(value_name = "SELECT")]
    pub models: Vec<String>,
    /// As a diagram for Mermaid (Markdown, GitHub)
    #[arg(long, conflicts_with = "dot")]
    pub mermaid: bool,
    /// As a diagram for Graphviz
    #[arg(long)]
    pub dot: bool,
}

#[derive(Debug, Clone, Copy)]
enum Diagram {
    Mermaid,
    Dot,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let graph = Graph::new(&opened.spec, &opened.project);
    let selectors = [arguments.models, context.global.select.clone()].concat();
    let selected = graph.select(selectors.iter().map(String::as_str))?;
    let printer = &context.printer;
    match (arguments.mermaid, arguments.dot, printer.format()) {
        (true, _, _) => printer.data(&diagram(&graph, &selected, Diagram::Mermaid))?,
        (_, true, _) => printer.data(&diagram(&graph, &selected, Diagram::Dot))?,
        (_, _, Format::Human) => printer.data(&tree(&graph, &selected))?,
        (_, _, Format::Json) => {
            for model in models(&graph, &selected) {
                let needs: Vec<String> = needs(&graph, model).map(Model::id).collect();
                printer.object(&json!({
                    "kind": "model", "model": model.id(), "description": model.description, "tags": model.tags, "needs": needs,
                }))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn models<'a>(graph: &'a Graph, selected: &'a BTreeSet<usize>) -> impl Iterator<Item = &'a Model> {
    selected.iter().filter_map(|index| graph.get(*index))
}

fn needs<'a>(graph: &'a Graph, model: &'a Model) -> impl Iterator<Item = &'a Model> {
    model.needs.iter().filter_map(|index| graph.get(*index))
}

/// From what is read to what is sent; each model with what it needs.
fn tree(graph: &Graph, selected: &BTreeSet<usize>) -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        let models: Vec<&Model> = models(graph, selected).filter(|model| model.kind == kind).collect();
        if models.is_empty() {
            continue;
        }
        text.push_str(kind.section());
        text.push('\n');
        for (index, model) in models.iter().enumerate() {
            let branch = if index + 1 == models.len() { "└─" } else { "├─" };
            text.push_str(&format!("{branch} {}", model.name));
            // The entity is what all of its traits, scores and segments are of: it is said where nothing else is.
            let all: Vec<&Model> = needs(graph, model).collect();
            let telling: Vec<&Model> = all.iter().copied().filter(|need| need.kind != Kind::Entity).collect();
            let shown = if telling.is_empty() { all } else { telling };
            if !shown.is_empty() {
                text.push_str(&format!(" ← {}", shown.iter().map(|need| named(need, model)).collect::<Vec<_>>().join(", ")));
            }
            text.push('\n');
        }
    }
    text
}

/// A need by its name; with its kind where the name is the model's own.
fn named(need: &Model, of: &Model) -> String {
    if need.name == of.name { need.id() } else { need.name.clone() }
}

fn diagram(graph: &Graph, selected: &BTreeSet<usize>, diagram: Diagram) -> String {
    let (head, foot) = match diagram {
        Diagram::Mermaid => ("flowchart LR\n", ""),
        Diagram::Dot => ("digraph cohorte {\n  rankdir=LR;\n  node [shape=box];\n", "}\n"),
    };
    let mut text = head.to_owned();
    // Names are letters, digits and `_`: they need no escaping.
    for &index in selected {
        let Some(model) = graph.get(index) else { continue };
        text.push_str(&match diagram {
            Diagram::Mermaid => format!("  m{index}[\"{} {}\"]\n", model.kind, model.name),
            Diagram::Dot => format!("  m{index} [label=\"{} {}\"];\n", model.kind, model.name),
        });
    }
    for &index in selected {
        let Some(model) = graph.get(index) else { continue };
        for need in model.needs.iter().filter(|need| selected.contains(need)) {
            text.push_str(&match diagram {
                Diagram::Mermaid => format!("  m{need} --> m{index}\n"),
                Diagram::Dot => format!("  m{need} -> m{index};\n"),
            });
        }
    }
    text.push_str(foot);
    text
}
