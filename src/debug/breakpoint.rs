//! Breakpoints: where they stand, and whether they stop.

use super::condition::{Condition, Lookup};

/// Where a breakpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// The instruction in this line, or the next one, of the Dockerfile.
    Line(usize),
    /// The beginning of a stage, by name or number.
    Stage(String),
}

/// What a breakpoint asks besides its place, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Stops only where this holds.
    pub condition: Option<String>,
    /// Stops at the n-th time (`3`), from it on (`>=3`), before it (`<3`) or at every n-th (`%3`).
    pub hits: Option<String>,
    /// Prints this, with `{NAME}` for variables, and does not stop.
    pub log: Option<String>,
}

/// A breakpoint.
#[derive(Debug, Clone)]
pub struct Breakpoint {
    pub id: u64,
    pub trigger: Trigger,
    /// Whether it goes away when it stops.
    pub once: bool,
    pub enabled: bool,
    pub seen: u64,
    pub log: Option<String>,
    condition: Option<Condition>,
    hits: Option<Hits>,
}

/// What a breakpoint does when its place is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Stop,
    Log(String),
}

impl Breakpoint {
    /// # Errors
    /// When a condition or a hit count cannot be read.
    pub fn new(id: u64, trigger: Trigger, extras: &Extras) -> Result<Self, String> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        Ok(Self {
            id,
            trigger,
            once: false,
            enabled: true,
            seen: 0,
            log: filled(&extras.log),
            condition: filled(&extras.condition)
                .map(|text| Condition::parse(&text))
                .transpose()?,
            hits: filled(&extras.hits)
                .map(|text| Hits::parse(&text))
                .transpose()?,
        })
    }

    /// It is reached.
    pub(super) fn reached(&mut self, lookup: Lookup<'_>) -> Effect {
        let holds = self.condition.as_ref().is_none_or(|c| c.holds(lookup));
        if !self.enabled || !holds {
            return Effect::Nothing;
        }
        self.seen += 1;
        if !self.hits.as_ref().is_none_or(|hits| hits.allow(self.seen)) {
            return Effect::Nothing;
        }
        match &self.log {
            Some(text) => Effect::Log(with_values(text, lookup)),
            None => Effect::Stop,
        }
    }

    /// For lists: `line 12 if A == 1, hits >=3`.
    pub fn describe(&self) -> String {
        let mut text = match &self.trigger {
            Trigger::Line(line) => format!("line {line}"),
            Trigger::Stage(name) => format!("stage {name}"),
        };
        if let Some(condition) = &self.condition {
            text.push_str(&format!(" if {}", condition.text()));
        }
        if let Some(hits) = &self.hits {
            text.push_str(&format!(", hits {}", hits.text));
        }
        if let Some(log) = &self.log {
            text.push_str(&format!(", prints `{log}`"));
        }
        if !self.enabled {
            text.push_str(", off");
        }
        text
    }
}

/// `{NAME}` replaced by values; what is no variable stays.
fn with_values(text: &str, lookup: Lookup<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let inner = &rest[open + 1..];
        let end = inner.find('}');
        let name = end.map(|end| inner[..end].trim_start_matches('$'));
        match (end, name.and_then(lookup)) {
            (Some(end), Some(value)) => {
                out.push_str(&value);
                rest = &inner[end + 1..];
            }
            _ => {
                out.push('{');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hits {
    text: String,
    sign: &'static str,
    number: u64,
}

impl Hits {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let signs = [">=", "<=", "==", ">", "<", "%", "="];
        let sign = signs.into_iter().find(|sign| text.starts_with(sign));
        let number = text[sign.map_or(0, str::len)..].trim();
        match number.parse() {
            Ok(number) if number > 0 => Ok(Self {
                text: text.to_owned(),
                sign: sign.unwrap_or("=="),
                number,
            }),
            _ => Err(format!(
                "`{text}` is not a hit count such as `3`, `>=3`, `<3` or `%3`"
            )),
        }
    }

    fn allow(&self, seen: u64) -> bool {
        match self.sign {
            ">=" => seen >= self.number,
            "<=" => seen <= self.number,
            ">" => seen > self.number,
            "<" => seen < self.number,
            "%" => seen.is_multiple_of(self.number),
            _ => seen == self.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(extras: &Extras, count: usize) -> Vec<Effect> {
        let mut breakpoint = Breakpoint::new(1, Trigger::Line(1), extras).unwrap();
        let lookup = |name: &str| (name == "A").then(|| "x".to_owned());
        (0..count).map(|_| breakpoint.reached(&lookup)).collect()
    }

    #[test]
    fn hit_counts_and_logs() {
        let stops = |hits: &str| {
            let extras = Extras {
                hits: Some(hits.into()),
                ..Extras::default()
            };
            let effects = effects(&extras, 4);
            effects
                .iter()
                .map(|e| *e == Effect::Stop)
                .collect::<Vec<_>>()
        };
        assert_eq!(stops("2"), [false, true, false, false]);
        assert_eq!(stops(">=3"), [false, false, true, true]);
        assert_eq!(stops("% 2"), [false, true, false, true]);
        let extras = Extras {
            log: Some("A is {A}, {B} and {".into()),
            ..Extras::default()
        };
        assert_eq!(
            effects(&extras, 1),
            [Effect::Log("A is x, {B} and {".into())]
        );
        let wrong = Extras {
            hits: Some("often".into()),
            ..Extras::default()
        };
        assert!(Breakpoint::new(1, Trigger::Line(1), &wrong).is_err());
    }
}
