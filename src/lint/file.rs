//! The rules that need nothing but the file.

use std::collections::BTreeSet;

use super::Lint;
use super::rules::{
    consistent_instruction_casing, duplicate_stage_name, from_as_casing,
    invalid_definition_description, maintainer_deprecated, no_empty_continuation,
    reserved_stage_name, stage_name_casing,
};
use crate::dockerfile::ast::{Dockerfile, Instruction, Kind};

/// Looks at the file as a whole.
pub fn file(lint: &mut Lint, dockerfile: &Dockerfile) {
    for inst in &dockerfile.instructions {
        no_empty_continuation::check(lint, inst);
    }
    for inst in &dockerfile.instructions {
        instruction(lint, inst);
    }
    let mut names = BTreeSet::new();
    for inst in &dockerfile.instructions {
        if let Kind::From(from) = &inst.kind {
            reserved_stage_name::check(lint, inst, from);
            duplicate_stage_name::check(lint, inst, from, &mut names);
        }
    }
    let instructions = dockerfile.instructions.iter();
    let staged = instructions.skip_while(|inst| !matches!(inst.kind, Kind::From(_)));
    consistent_instruction_casing::check(lint, staged);
}

fn instruction(lint: &mut Lint, inst: &Instruction) {
    match &inst.kind {
        Kind::Maintainer(_) => maintainer_deprecated::check(lint, inst),
        Kind::From(from) => {
            stage_name_casing::check(lint, inst, from);
            from_as_casing::check(lint, inst, from);
            if let Some(name) = from.stage_name() {
                invalid_definition_description::check(lint, inst, &[&name]);
            }
        }
        Kind::Arg(items) => {
            let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
            invalid_definition_description::check(lint, inst, &names);
        }
        _ => {}
    }
}
