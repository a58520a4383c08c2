//! What is added to the history of models: the sizes of segments, the values of scores. It stands under the names that the
//! models have now.

use std::collections::BTreeMap;

use super::Publisher;
use crate::compile::renames::{Named, Renames};
use crate::diag::Result;
use crate::project::{Kind, ScoreKind};
use crate::run::columns::{batch, instants, texts, wholes};
use crate::run::kept::Kept;
use crate::run::renames;
use crate::run::segments::SegmentChange;
use crate::sql::{ident, text_literal};
use crate::store::{TableSpec, tables};

/// Values where no score was computed.
const NO_VALUES: &str = "select * from before_score_values where false";

impl Publisher<'_> {
    /// Adds the values of the scores that were computed.
    pub(super) async fn scores(&mut self, kept: &Kept) -> Result<()> {
        let (workspace, project) = (self.workspace, &self.workspace.opened.project);
        let mut parts = Vec::new();
        for score in project.scores.values().filter(|score| kept.reason(Kind::Score, &score.name).is_none()) {
            let Some(entity) = project.entities.get(&score.entity) else { continue };
            let (id, column) = (ident(&entity.id()), ident(&score.name));
            let (value, tier) = match score.kind {
                ScoreKind::Points(_) => (format!("cast({column} as double)"), "cast(null as varchar)".to_owned()),
                ScoreKind::Rfm(_) => ("cast(null as double)".to_owned(), column.clone()),
            };
            parts.push(format!(
                "select {} as score, {} as entity, {id} as entity_id, {value} as value, {tier} as tier, cast(null as varchar) as reasons, cohorte_now() as as_of, {} as run_id from {} where {column} is not null",
                text_literal(&score.name),
                text_literal(&entity.name),
                text_literal(&workspace.run_id),
                ident(&entity.name)
            ));
        }
        let (spec, before) = (tables::score_values(), "before_score_values");
        workspace.before(&spec, before).await?;
        // Columns of an entity that is kept still have their old names, and so has what is remembered of them.
        let is_built = |entity: &str| !kept.has_entity(entity);
        let renames = renames::due(workspace, &self.before, Kind::Score, before, is_built).await?;
        if parts.is_empty() && renames.is_empty() {
            return Ok(());
        }
        let new = if parts.is_empty() { NO_VALUES.to_owned() } else { parts.join("\nunion all\n") };
        workspace.view("new_score_values", &new).await?;
        self.remember(&spec, "new_score_values", &renames, Some("entity")).await
    }

    /// Adds how large each segment is.
    pub(super) async fn sizes(&mut self, segments: &[SegmentChange]) -> Result<()> {
        if segments.is_empty() {
            return Ok(());
        }
        let spec = tables::segment_sizes();
        let figures =
            |of: fn(&SegmentChange) -> u64| wholes(segments.iter().map(|change| i64::try_from(of(change)).ok()));
        let columns = BTreeMap::from([
            ("segment", texts(segments.iter().map(|change| Some(change.segment.as_str())))),
            ("as_of", instants(segments.iter().map(|_| Some(self.workspace.opened.clock.micros())))),
            ("members", figures(|change| change.members)),
            ("entered", figures(|change| change.entered)),
            ("exited", figures(|change| change.exited)),
            ("run_id", texts(segments.iter().map(|_| Some(self.workspace.run_id.as_str())))),
        ]);
        let batch = batch(&spec.schema, columns)?;
        let opened = &self.workspace.opened;
        self.workspace.stage.hold(&opened.session, "new_segment_sizes", batch.schema(), vec![batch])?;
        self.workspace.before(&spec, "before_segment_sizes").await?;
        let moved = segments
            .iter()
            .filter_map(|change| Some(Named { entity: "", name: &change.segment, was: change.old_name.as_ref()? }));
        self.remember(&spec, "new_segment_sizes", &Renames::due(moved, |_, _| false), None).await
    }

    /// Adds rows to what is remembered under names of models; where models take over old names, all of it is written anew.
    /// Whose a model is says the column `whose`, where there is one.
    async fn remember(&mut self, spec: &TableSpec, new: &str, renames: &Renames, whose: Option<&str>) -> Result<()> {
        if renames.is_empty() {
            return self.append(spec, new).await;
        }
        let names: Vec<String> = spec.schema.fields().iter().map(|field| ident(field.name())).collect();
        // The name comes first in both tables.
        let mut renamed = names.clone();
        renamed[0] = format!("{} as {}", renames.sql(spec.schema.field(0).name(), whose), names[0]);
        let whole = format!("all_{}", spec.name);
        let sql = format!(
            "select {} from before_{}\nunion all\nselect {} from {new}",
            renamed.join(", "),
            spec.name,
            names.join(", ")
        );
        self.workspace.view(&whole, &sql).await?;
        self.overwrite(spec, &whole, &[]).await
    }
}
