//! A `skaffold.yaml` as a tree that knows its lines, so that it can be edited in place.

use saphyr_parser::{Event, Parser, Span};

/// A value, and where it stands; lines and columns count from 0.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) line: usize,
    pub(super) column: usize,
    /// The last line of a scalar or of a collection in braces.
    pub(super) end: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// The documents of a text.
///
/// # Errors
/// When it is no YAML, or repeats parts of itself by alias, which cannot be edited alone.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut events = Parser::new_from_str(text);
    let mut documents = Vec::new();
    loop {
        let (event, span) = next(&mut events)?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => documents.push(node(event, span, &mut events)?),
        }
    }
}

type Events<'a> = Parser<'a, saphyr_parser::StrInput<'a>>;

fn next<'a>(events: &mut Events<'a>) -> Result<(Event<'a>, Span), String> {
    match events.next() {
        Some(Ok(event)) => Ok(event),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("it ends too early".into()),
    }
}

fn node(event: Event<'_>, span: Span, events: &mut Events<'_>) -> Result<Node, String> {
    let (line, column) = (span.start.line() - 1, span.start.col());
    let mut end = span.end.line() - 1;
    let kind = match event {
        Event::Scalar(text, ..) => Kind::Scalar(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                let (event, span) = next(events)?;
                if matches!(event, Event::SequenceEnd) {
                    end = span.end.line() - 1;
                    break Kind::List(items);
                }
                items.push(node(event, span, events)?);
            }
        }
        Event::MappingStart(..) => {
            let mut pairs = Vec::new();
            loop {
                let (event, span) = next(events)?;
                if matches!(event, Event::MappingEnd) {
                    end = span.end.line() - 1;
                    break Kind::Map(pairs);
                }
                let key = node(event, span, events)?;
                let (event, span) = next(events)?;
                pairs.push((key, node(event, span, events)?));
            }
        }
        Event::Alias(_) => return Err(format!("line {} is an alias (`*name`)", line + 1)),
        other => return Err(format!("{other:?} is in the wrong place")),
    };
    Ok(Node {
        kind,
        line,
        column,
        end,
    })
}

impl Node {
    /// A key and its value.
    pub(super) fn entry(&self, name: &str) -> Option<(&Node, &Node)> {
        let found = self
            .pairs()
            .iter()
            .find(|(key, _)| key.text() == Some(name));
        found.map(|(key, value)| (key, value))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The text of a value that says something.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        let text = self.get(name)?.text()?;
        (!matches!(text, "" | "~" | "null")).then_some(text)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn pairs(&self) -> &[(Node, Node)] {
        match &self.kind {
            Kind::Map(pairs) => pairs,
            _ => &[],
        }
    }
}

/// The artifacts of a document and of its profiles.
pub(super) fn artifacts(document: &Node) -> Vec<&Node> {
    let profiles = document
        .get("profiles")
        .map(Node::items)
        .unwrap_or_default();
    let places = std::iter::once(document).chain(profiles);
    let lists = places.filter_map(|place| place.get("build")?.get("artifacts"));
    lists.flat_map(Node::items).collect()
}

/// The builders that an artifact may have besides `docker`, which is also what it has without.
const OTHER_BUILDERS: [&str; 6] = ["custom", "kaniko", "jib", "bazel", "buildpacks", "ko"];

/// The builder of an artifact.
pub(super) fn builder(artifact: &Node) -> &'static str {
    let other = OTHER_BUILDERS
        .iter()
        .find(|name| artifact.entry(name).is_some());
    other.copied().unwrap_or("docker")
}
