//! `ONBUILD` triggers of base images and of stages that serve as bases.

use super::graph::{Command, Graph, one};
use super::{BaseIndex, StageBase, StageIndex};
use crate::diag::Diagnostics;
use crate::dockerfile::ast::Kind;
use crate::dockerfile::parse_instruction;
use crate::image::ImageConfig;
use crate::source::SourceFile;

impl Graph {
    /// Takes the config of a base image. Its triggers may name further images, so ask
    /// [`Graph::wanted`] again.
    ///
    /// # Errors
    /// When a trigger of the image cannot be used.
    pub fn supply(&mut self, base: BaseIndex, config: ImageConfig) -> Result<(), Diagnostics> {
        self.bases[base].config = Some(config);
        self.pull_all_triggers()
    }

    /// Puts the triggers that are known into every needed stage. They may need more stages.
    pub(super) fn pull_all_triggers(&mut self) -> Result<(), Diagnostics> {
        loop {
            let reachable = self.reachable();
            for &stage in &reachable {
                self.pull_triggers(stage)?;
            }
            if self.reachable() == reachable {
                return self.check_order();
            }
        }
    }

    /// Puts the triggers of a stage's base before the stage's own instructions, once.
    fn pull_triggers(&mut self, stage: StageIndex) -> Result<(), Diagnostics> {
        if self.nodes[stage].triggered {
            return Ok(());
        }
        let (name, triggers) = match self.nodes[stage].base {
            StageBase::Scratch | StageBase::Files(_) => (String::new(), Vec::new()),
            StageBase::Image(base) => {
                let base = &self.bases[base];
                let Some(config) = &base.config else {
                    return Ok(());
                };
                (base.wanted.text.clone(), config.config.on_build.clone())
            }
            StageBase::Stage(base) => (self.shown_name(base), self.triggers_of_stage(base)),
        };
        self.nodes[stage].triggered = true;
        let mut commands = Vec::new();
        for trigger in triggers {
            let source = SourceFile::new(format!("ONBUILD trigger of {name}"), trigger);
            let instruction = parse_instruction(&source, '\\')?;
            let from = self.link(stage, &instruction).map_err(one)?;
            let mounts = self.link_mounts(stage, &instruction).map_err(one)?;
            commands.push(Command {
                instruction,
                mounts,
                on_build: true,
                from,
            });
        }
        self.nodes[stage].commands.splice(0..0, commands);
        Ok(())
    }

    fn triggers_of_stage(&self, stage: StageIndex) -> Vec<String> {
        let commands = self.nodes[stage].commands.iter();
        let triggers = commands.filter_map(|command| match &command.instruction.kind {
            Kind::Onbuild(onbuild) => Some(onbuild.trigger.clone()),
            _ => None,
        });
        triggers.collect()
    }

    pub(super) fn shown_name(&self, stage: StageIndex) -> String {
        let name = self.nodes[stage].name.as_ref();
        name.map_or_else(|| format!("stage-{stage}"), |name| name.to_lowercase())
    }
}
