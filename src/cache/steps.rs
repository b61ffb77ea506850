//! The step images that an engine keeps, as one tree: which stands on which, what each adds, and
//! which may go when the cache shall be smaller or younger.

use std::collections::{BTreeMap, HashMap};

use crate::image::Digest;

use super::Record;

/// A step's image in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStep {
    /// The engine's ID.
    pub id: String,
    pub names: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    pub record: Record,
}

impl StoredStep {
    fn layers(&self) -> Vec<&Digest> {
        self.record
            .layers
            .iter()
            .map(|layer| &layer.diff_id)
            .collect()
    }
}

/// How large and how old the cache may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// In bytes: the oldest go until the rest is no larger.
    pub size: Option<u64>,
    /// In seconds since 1970: what was made before goes.
    pub since: Option<i64>,
    /// Only steps whose title contains this.
    pub step: Option<String>,
}

/// All steps of an engine, the size of each layer known.
#[derive(Debug)]
pub struct Steps {
    /// In the order of their layers, so that a step comes after those it stands on.
    steps: Vec<StoredStep>,
    /// What each step adds to those it stands on, in bytes.
    own: Vec<u64>,
}

impl Steps {
    /// `sizes` gives the bytes of layers, by all the layers up to it.
    pub fn new(mut steps: Vec<StoredStep>, sizes: &HashMap<Vec<Digest>, u64>) -> Self {
        steps.sort_by(|a, b| a.layers().cmp(&b.layers()).then(a.id.cmp(&b.id)));
        let mut counted: BTreeMap<Vec<Digest>, ()> = BTreeMap::new();
        let own = steps.iter().map(|step| {
            let chain: Vec<Digest> = step.layers().into_iter().cloned().collect();
            let made = step.record.layers.iter().zip(1..);
            // Layers of the base image belong to that.
            let made = made.filter(|(layer, _)| layer.created.is_some());
            let mut bytes = 0;
            for (_, end) in made {
                let part = chain[..end].to_vec();
                if counted.contains_key(&part) {
                    continue;
                }
                bytes += sizes.get(&part).copied().unwrap_or_default();
                counted.insert(part, ());
            }
            bytes
        });
        let own = own.collect();
        Self { steps, own }
    }

    /// The steps that no other stands on: their layers hold those of all others.
    pub fn ends(steps: &[StoredStep]) -> Vec<&StoredStep> {
        let is_end = |step: &&StoredStep| {
            let layers = step.layers();
            let stands = |other: &StoredStep| {
                let above = other.layers();
                above.len() > layers.len() && above.starts_with(&layers)
            };
            !steps.iter().any(stands)
        };
        steps.iter().filter(is_end).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&StoredStep, u64)> {
        self.steps.iter().zip(self.own.iter().copied())
    }

    /// In bytes, each layer once.
    pub fn total(&self) -> u64 {
        self.own.iter().sum()
    }

    /// The steps that go, the last of each stage first. A step stays as long as one that stays
    /// stands on it: its layers are there anyway.
    pub fn beyond(&self, bounds: &Bounds) -> Vec<&StoredStep> {
        let mut left: Vec<bool> = vec![true; self.steps.len()];
        let mut total = self.total();
        let mut going = Vec::new();
        loop {
            let oldest = (0..self.steps.len())
                .filter(|&at| left[at] && self.is_free(at, &left))
                .filter(|&at| {
                    let step = &self.steps[at];
                    let wanted = bounds.step.as_ref();
                    wanted.is_none_or(|text| step.record.title.contains(text.as_str()))
                })
                .min_by_key(|&at| self.steps[at].created);
            let Some(at) = oldest else { break };
            let too_old = bounds
                .since
                .is_some_and(|since| self.steps[at].created < since);
            let too_large = bounds.size.is_some_and(|size| total > size);
            let unbound = bounds.since.is_none() && bounds.size.is_none();
            if !(too_old || too_large || unbound) {
                break;
            }
            left[at] = false;
            total -= self.own[at];
            going.push(&self.steps[at]);
        }
        going
    }

    /// Whether nothing that is left stands on the step.
    fn is_free(&self, at: usize, left: &[bool]) -> bool {
        let layers = self.steps[at].layers();
        // Those that stand on it follow it, up to the first that does not.
        let above = self.steps[at + 1..].iter().zip(&left[at + 1..]);
        above
            .take_while(|(other, _)| other.layers().starts_with(&layers))
            .all(|(other, left)| !left || other.layers().len() == layers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::RecordedLayer;

    fn step(layers: &[&str], created: i64) -> StoredStep {
        let recorded = |(n, name): (usize, &&str)| RecordedLayer {
            diff_id: Digest::sha256(name.as_bytes()),
            blob: None,
            created: (n > 0).then(|| "now".to_owned()),
            leaks: Vec::new(),
        };
        StoredStep {
            id: layers.join("+"),
            names: vec![layers.join("-")],
            created,
            record: Record {
                key: layers.join("/"),
                title: format!("RUN {}", layers.last().unwrap()),
                layers: layers.iter().enumerate().map(recorded).collect(),
            },
        }
    }

    fn steps() -> Steps {
        let all = [
            step(&["base", "a"], 1),
            step(&["base", "a", "b"], 2),
            step(&["base", "a", "c"], 5),
            step(&["base", "d"], 3),
        ];
        let mut sizes = HashMap::new();
        for one in &all {
            let chain: Vec<Digest> = one.layers().into_iter().cloned().collect();
            sizes.insert(chain[..1].to_vec(), 1000);
            sizes.insert(chain, 10);
        }
        Steps::new(all.to_vec(), &sizes)
    }

    fn gone(bounds: &Bounds) -> Vec<String> {
        let steps = steps();
        let gone = steps.beyond(bounds);
        gone.iter().map(|step| step.id.clone()).collect()
    }

    #[test]
    fn each_layer_counts_once_and_the_base_not() {
        assert_eq!(steps().total(), 40);
        let all: Vec<StoredStep> = steps().steps;
        assert_eq!(Steps::ends(&all).len(), 3);
    }

    #[test]
    fn the_oldest_go_and_what_others_stand_on_stays() {
        let size = |bytes| Bounds {
            size: Some(bytes),
            ..Bounds::default()
        };
        assert_eq!(gone(&size(40)), [""; 0]);
        assert_eq!(gone(&size(30)), ["base+a+b"]);
        assert_eq!(gone(&size(20)), ["base+a+b", "base+d"]);
        assert_eq!(gone(&size(0)).len(), 4);
        let since = |since| Bounds {
            since: Some(since),
            ..Bounds::default()
        };
        assert_eq!(gone(&since(4)), ["base+a+b", "base+d"]);
        assert_eq!(gone(&since(0)), [""; 0]);
        assert_eq!(gone(&Bounds::default()).len(), 4);
        let named = Bounds {
            step: Some("RUN d".into()),
            ..Bounds::default()
        };
        assert_eq!(gone(&named), ["base+d"]);
    }
}
