//! Which stage is the result.

use super::StageIndex;
use super::graph::Graph;
use crate::diag::{Diagnostic, suggest};
use crate::dockerfile::ast::Dockerfile;

impl Graph {
    pub(super) fn find_target(&self, dockerfile: &Dockerfile) -> Result<StageIndex, Diagnostic> {
        let Some(name) = self
            .options
            .target
            .as_deref()
            .filter(|name| !name.is_empty())
        else {
            return Ok(self.nodes.len() - 1);
        };
        if let Some(&stage) = self.names.get(&name.to_lowercase()) {
            return Ok(stage);
        }
        let file = dockerfile.source.name();
        let refused = Diagnostic::error(format!("there is no stage `{name}` in `{file}`"));
        let names: Vec<&str> = self.names.keys().map(String::as_str).collect();
        Err(match suggest(&name.to_lowercase(), names.iter().copied()) {
            Some(near) => refused.with_hint(format!("did you mean `--target {near}`?")),
            None if names.is_empty() => {
                refused.with_hint("give the stage a name: `FROM image AS name`")
            }
            None => refused.with_hint(format!("the stages are: `{}`", names.join("`, `"))),
        })
    }
}
