//! A diagnostic as text, drawn by `annotate-snippets`.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diag::{Diagnostic, Label, Severity, Style};
use crate::source::Span;

impl Diagnostic {
    /// The whole text, with the lines of the sources that it speaks of. Ends with a line break.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut title = level.primary_title(&self.message);
        if let Some(code) = self.code {
            title = title.id(code);
        }
        let mut group = Group::with_title(title);
        for labels in by_source(&self.labels) {
            group = group.element(snippet(&labels));
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note));
        }
        let renderer = if style.color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = renderer.term_width(style.width).render(&[group]);
        text.push('\n');
        for hint in &self.hints {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        text
    }
}

/// The labels, those of one source together, in the order of the first of each.
fn by_source(labels: &[Label]) -> Vec<Vec<&Label>> {
    let mut groups: Vec<Vec<&Label>> = Vec::new();
    for label in labels {
        match groups
            .iter_mut()
            .find(|group| group[0].source == label.source)
        {
            Some(group) => group.push(label),
            None => groups.push(vec![label]),
        }
    }
    groups
}

fn snippet<'a>(labels: &[&'a Label]) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let source = &labels[0].source;
    let mut snippet = Snippet::source(source.text()).path(source.name());
    for label in labels {
        let kind = if label.primary {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let span = inside(label.span, source.text());
        let mut annotation = kind.span(span.start..span.end);
        if !label.text.is_empty() {
            annotation = annotation.label(&label.text);
        }
        snippet = snippet.annotation(annotation);
    }
    snippet
}

/// The span moved to where the text has characters, without trailing line breaks.
fn inside(span: Span, text: &str) -> Span {
    let end = floor(text, span.end);
    let start = floor(text, span.start.min(end));
    let shown = text[start..end].trim_end_matches(['\n', '\r']);
    Span::new(start, start + shown.len())
}

fn floor(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}
