//! The instructions of a Dockerfile, known before anything is planned: what lines a breakpoint
//! can stand on.

use std::sync::Arc;

use crate::dockerfile::ast::{Dockerfile, Kind};
use crate::source::SourceFile;

/// A Dockerfile's text and its instructions.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub source: Arc<SourceFile>,
    pub entries: Vec<Entry>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// First and last line.
    pub lines: (usize, usize),
    pub keyword: &'static str,
    /// The stage's number and name; none before the first `FROM`.
    pub stage: Option<(usize, Option<String>)>,
    /// The instruction with its heredocs: what a change of it would change.
    pub text: String,
}

impl Catalog {
    pub fn new(dockerfile: &Dockerfile) -> Self {
        let source = Arc::clone(&dockerfile.source);
        let mut stage: Option<(usize, Option<String>)> = None;
        let mut entries = Vec::new();
        for instruction in &dockerfile.instructions {
            if let Kind::From(from) = &instruction.kind {
                let number = stage.as_ref().map_or(0, |(number, _)| number + 1);
                stage = Some((number, from.stage_name()));
            }
            let mut text = instruction.original.clone();
            for heredoc in &instruction.heredocs {
                text.push('\n');
                text.push_str(&heredoc.content);
            }
            entries.push(Entry {
                lines: source.lines(instruction.span),
                keyword: instruction.kind.name(),
                stage: stage.clone(),
                text,
            });
        }
        Self { source, entries }
    }

    /// The instruction in a line, or else the next one, that a build can stop at.
    pub fn instruction_at(&self, line: usize) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.stage.is_some() && entry.lines.1 >= line)
    }

    /// The number of a stage by its name or number.
    pub fn stage(&self, name: &str) -> Option<usize> {
        let wanted = name.to_lowercase();
        let named = |entry: &&Entry| {
            let stage = entry.stage.as_ref();
            stage.is_some_and(|(_, name)| name.as_ref() == Some(&wanted))
        };
        let found = self.entries.iter().find(named);
        let by_name = found.and_then(|entry| entry.stage.as_ref()).map(|s| s.0);
        let count = self.stages();
        by_name.or_else(|| name.parse().ok().filter(|&number: &usize| number < count))
    }

    pub fn stages(&self) -> usize {
        let last = self.entries.iter().rev().find_map(|e| e.stage.as_ref());
        last.map_or(0, |(number, _)| number + 1)
    }

    /// In each stage the number of its first instruction that is not as in `old`, `FROM` being 0.
    pub(super) fn changes_since(&self, old: &Self) -> Vec<(usize, usize)> {
        let of = |catalog: &Self, stage: usize| -> Vec<String> {
            let entries = catalog.entries.iter();
            let own = entries.filter(|e| e.stage.as_ref().is_some_and(|s| s.0 == stage));
            own.map(|entry| entry.text.clone()).collect()
        };
        let mut changes = Vec::new();
        for stage in 0..self.stages() {
            let (new, before) = (of(self, stage), of(old, stage));
            let same = new.iter().zip(&before).take_while(|(a, b)| a == b).count();
            if same < new.len() || same < before.len() {
                changes.push((stage, same.min(new.len().saturating_sub(1))));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(text: &str) -> Catalog {
        let source = SourceFile::new("Dockerfile", text);
        Catalog::new(&crate::dockerfile::parse(&source).unwrap().dockerfile)
    }

    #[test]
    fn lines_move_to_the_next_instruction() {
        let catalog = catalog(
            "ARG V=1\n# c\nFROM a AS One\n\nRUN x \\\n  y\n# c\nFROM One\nCOPY <<E /\nt\nE\n",
        );
        let at = |line| catalog.instruction_at(line).map(|entry| entry.lines);
        assert_eq!(at(1), Some((3, 3)));
        assert_eq!(at(4), Some((5, 6)));
        assert_eq!(at(6), Some((5, 6)));
        assert_eq!(at(7), Some((8, 8)));
        assert_eq!(at(10), Some((9, 11)));
        assert_eq!(at(12), None);
        assert_eq!(catalog.stage("ONE"), Some(0));
        assert_eq!(catalog.stage("1"), Some(1));
        assert_eq!(catalog.stage("2"), None);
    }

    #[test]
    fn changes_are_found_in_each_stage() {
        let old = catalog("FROM a\nRUN x\nRUN y\nFROM b\nRUN z\n");
        let new = catalog("FROM a\nRUN x\nRUN w\nRUN y\nFROM b\n\nRUN z\n");
        assert_eq!(new.changes_since(&old), [(0, 2)]);
        assert_eq!(old.changes_since(&old), []);
    }
}
