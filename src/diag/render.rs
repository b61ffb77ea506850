//! A diagnostic as text, drawn by `annotate-snippets`.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diag::{Diagnostic, Label, Severity, Style};
use crate::source::Span;

/// Bold and cyan, as the renderer writes its own helps.
const HINT_IN_COLOR: &str = "\u{1b}[1m\u{1b}[96mhint\u{1b}[0m: ";

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
            text.push_str(if style.color { HINT_IN_COLOR } else { "hint: " });
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

#[cfg(test)]
mod tests {
    use crate::diag::{Diagnostic, Style};
    use crate::source::{SourceFile, Span};

    #[test]
    fn everything_is_shown_in_its_place() {
        let one = SourceFile::new("Dockerfile", "FROM a\nRUN b \\\n  c\n");
        let two = SourceFile::new("trigger", "COPY x\n");
        let text = Diagnostic::warning("something is odd")
            .with_code("OddThing")
            .with_label(&one, Span::new(11, 18), "from here to there")
            .with_context(&two, Span::new(5, 6), "because of this")
            .with_note("it was always so")
            .with_hint("change it")
            .render(Style::default());
        insta::assert_snapshot!(text, @r"
        warning[OddThing]: something is odd
         --> Dockerfile:2:5
          |
        2 |   RUN b \
          |  _____^
        3 | |   c
          | |___^ from here to there
          |
         ::: trigger:1:6
          |
        1 |   COPY x
          |        - because of this
          |
          = note: it was always so
        hint: change it
        ");
    }

    #[test]
    fn places_outside_the_file_do_no_harm() {
        let source = SourceFile::new("Dockerfile", "é");
        for span in [
            Span::new(0, 1),
            Span::new(1, 9),
            Span::new(7, 9),
            Span::at(2),
        ] {
            let error = Diagnostic::error("odd").with_label(&source, span, "here");
            assert!(error.render(Style::default()).starts_with("error: odd\n"));
        }
    }

    #[test]
    fn long_lines_are_cut_to_the_width() {
        let text = format!("RUN {} here {}", "a".repeat(300), "b".repeat(300));
        let source = SourceFile::new("Dockerfile", text);
        let error = Diagnostic::error("odd").with_label(&source, Span::new(305, 309), "");
        let width = 80;
        let shown = error.render(Style {
            color: false,
            width,
        });
        assert!(shown.contains("here"), "{shown}");
        assert!(
            shown.lines().all(|line| line.chars().count() <= width + 4),
            "{shown}"
        );
    }
}
