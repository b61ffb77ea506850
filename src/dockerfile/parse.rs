//! From text to instructions.
//!
//! One pass over the logical lines of the file. A line that cannot be read is
//! reported and passed over, so that one run shows every independent error.

mod command;
mod copy;
mod duration;
mod from;
mod health;
mod instruction;
mod onbuild;
mod pairs;
mod request;
mod run;
mod simple;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics};
use crate::dockerfile::ast::{Dockerfile, Heredoc, Instruction, Kind, Word};
use crate::dockerfile::heredoc::{self, Opening, Openings};
use crate::dockerfile::json::{self, Form};
use crate::dockerfile::lex::{Lexer, LogicalLine};
use crate::dockerfile::parse::request::Request;
use crate::dockerfile::split::{self, Statement};
use crate::source::{SourceFile, Span};

/// So many errors say enough: a file with more is probably no Dockerfile.
const MAX_ERRORS: usize = 25;

/// How many bytes a line may have, without its line break.
const MAX_LINE: usize = 65_535;

/// A file that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub dockerfile: Dockerfile,
    /// What is doubtful and not the business of a lint rule.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a Dockerfile.
///
/// # Errors
/// With every independent error of the file, in its order.
pub fn parse(source: &Arc<SourceFile>) -> Result<Parsed, Diagnostics> {
    let mut parser = Parser::new(source, '\\');
    while let Some(line) = parser.lexer.next_logical() {
        parser.read_line(line, Place::File);
    }
    parser.require_stage();
    parser.check_lengths();
    parser.finish()
}

/// The image of the frontend that a file asks for, with what follows it.
#[must_use]
pub fn syntax(source: &Arc<SourceFile>) -> Option<Word> {
    let mut lexer = Lexer::new(source, '\\');
    // Directives stand before the first instruction.
    let _ = lexer.next_logical();
    let (directives, _, _) = lexer.finish();
    directives.syntax
}

/// Reads one instruction that is not in a Dockerfile, such as an `ONBUILD` trigger of
/// a base image (whose escape character is always a backslash).
///
/// # Errors
/// When it cannot be read, or is not exactly one instruction.
pub fn parse_instruction(
    source: &Arc<SourceFile>,
    escape: char,
) -> Result<Instruction, Diagnostics> {
    let mut parser = Parser::new(source, escape);
    while let Some(line) = parser.lexer.next_logical() {
        parser.read_line(line, Place::Alone);
    }
    let mut instructions = parser.finish()?.dockerfile.instructions.into_iter();
    let (Some(instruction), None) = (instructions.next(), instructions.next()) else {
        let message = format!("{} is not a single instruction", source.name());
        return Err(Diagnostic::error(message).into());
    };
    if let Kind::From(_) = instruction.kind {
        let error = Diagnostic::error("`FROM` cannot be a trigger").with_label(
            source,
            instruction.keyword.span,
            "",
        );
        return Err(error.into());
    }
    Ok(instruction)
}

/// Where an instruction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a file, where a `FROM` has to come before it.
    File,
    /// By itself.
    Alone,
}

struct Parser<'a> {
    source: &'a Arc<SourceFile>,
    lexer: Lexer<'a>,
    instructions: Vec<Instruction>,
    warnings: Vec<Diagnostic>,
    errors: Diagnostics,
    /// Whether a `FROM` was seen, or its absence reported.
    in_stage: bool,
    lines_read: usize,
    /// The `<<` of the line before, when it opens nothing because a quote is not closed.
    lost_heredoc: Option<Span>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a Arc<SourceFile>, escape: char) -> Self {
        Self {
            source,
            lexer: Lexer::new(source, escape),
            instructions: Vec::new(),
            warnings: Vec::new(),
            errors: Diagnostics::new(),
            in_stage: false,
            lines_read: 0,
            lost_heredoc: None,
        }
    }

    fn read_line(&mut self, line: LogicalLine, place: Place) {
        self.lines_read += 1;
        let lost_heredoc = self.lost_heredoc.take();
        let escape = self.lexer.escape();
        let joined = &line.joined;
        let statement = split::statement(joined, joined.whole(), escape);
        let heredocs = match self.take_heredocs(&line, &statement) {
            Ok(heredocs) => heredocs,
            Err(error) => return self.errors.push(error),
        };
        let keyword = statement.keyword.clone();
        if place == Place::File {
            self.check_stage(&keyword);
        }
        let mut request = Request {
            source: self.source,
            line: joined,
            escape,
            statement: &statement,
            heredocs: &heredocs,
            warnings: Vec::new(),
        };
        match instruction::read(&mut request) {
            Ok(kind) => {
                self.warnings.append(&mut request.warnings);
                let span = Span::new(keyword.span.start, self.end_of_line());
                self.instructions.push(Instruction {
                    source: Arc::clone(self.source),
                    span,
                    keyword,
                    kind,
                    original: joined.text().trim().to_owned(),
                    heredocs,
                    comments: line.comments,
                    empty_continuations: line.empty_continuations,
                });
            }
            Err(fault) => {
                let mut error = *fault.diagnostic;
                if let Some(lost) = lost_heredoc.filter(|_| !instruction::is_known(&keyword.text)) {
                    let label = "opens no heredoc, because a quote in its line is not closed";
                    error = error.with_context(self.source, lost, label);
                }
                self.errors.push(error);
            }
        }
    }

    /// The end of what has been read, without its line break.
    fn end_of_line(&self) -> usize {
        let read = &self.source.text()[..self.lexer.offset()];
        read.trim_end_matches(['\r', '\n']).len()
    }

    fn check_stage(&mut self, keyword: &Word) {
        if keyword.text.eq_ignore_ascii_case("FROM") {
            self.in_stage = true;
        }
        let needs_stage =
            instruction::is_known(&keyword.text) && !keyword.text.eq_ignore_ascii_case("ARG");
        if needs_stage && !self.in_stage {
            // Once is enough.
            self.in_stage = true;
            let message = format!("`{}` stands before the first `FROM`", keyword.text);
            let error = Diagnostic::error(message)
                .with_label(self.source, keyword.span, "belongs to no stage")
                .with_hint("only `ARG` may come before the first `FROM`");
            self.errors.push(error);
        }
    }

    fn require_stage(&mut self) {
        if !self.errors.is_empty() {
            return;
        }
        if self.lines_read == 0 {
            let message = format!("`{}` has no instructions", self.source.name());
            self.errors.push(Diagnostic::error(message));
        } else if !self.in_stage {
            let message = format!(
                "`{}` has no `FROM`, so there is no stage to build",
                self.source.name()
            );
            self.errors.push(Diagnostic::error(message));
        }
    }

    /// BuildKit reads no longer lines.
    fn check_lengths(&mut self) {
        let mut start = 0;
        for line in self.source.text().split_inclusive('\n') {
            let allowed = MAX_LINE + usize::from(line.ends_with('\n'));
            if line.len() > allowed {
                let message = format!("this line is longer than {MAX_LINE} bytes");
                let place = Span::new(start, start + 1);
                let error = Diagnostic::error(message)
                    .with_label(self.source, place, "")
                    .with_hint("break it with a backslash at the end of a line");
                self.errors.push(error);
            }
            start += line.len();
        }
    }

    /// Reads the bodies of the heredocs that the line opens.
    fn take_heredocs(
        &mut self,
        line: &LogicalLine,
        statement: &Statement,
    ) -> Result<Vec<Heredoc>, Diagnostic> {
        let joined = &line.joined;
        if !may_open_heredocs(line, statement, self.lexer.escape()) {
            return Ok(Vec::new());
        }
        let openings = match heredoc::openings(joined.text()) {
            Openings::Found(openings) => openings,
            Openings::Unsplittable(place) => {
                self.lost_heredoc = Some(joined.span(&place));
                Vec::new()
            }
            Openings::Unreadable(place) => {
                let message = "the name of this heredoc cannot be read";
                let span = joined.span(&place);
                return Err(Diagnostic::error(message).with_label(self.source, span, ""));
            }
        };
        let mut heredocs = Vec::with_capacity(openings.len());
        for (opening, place) in openings {
            let word = joined.word(place);
            let body = self.lexer.take_heredoc(&opening.name, opening.chomp);
            if !body.terminated {
                return Err(self.unclosed(&opening, &word, body.span));
            }
            heredocs.push(Heredoc {
                name: opening.name,
                word,
                fd: opening.fd,
                expand: opening.expand,
                chomp: opening.chomp,
                content: self.source.slice(body.span).to_owned(),
                content_span: body.span,
            });
        }
        Ok(heredocs)
    }

    fn unclosed(&self, opening: &Opening, word: &Word, body: Span) -> Diagnostic {
        let name = &opening.name;
        let error = Diagnostic::error(format!("heredoc `{name}` is not closed")).with_label(
            self.source,
            word.span,
            format!("no line below is only `{name}`"),
        );
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return error.with_hint("a shift by a number needs no spaces: `$((1<<3))`");
        }
        let nearly = self
            .source
            .slice(body)
            .lines()
            .find(|line| line.trim() == name);
        let Some(nearly) = nearly else { return error };
        let start =
            body.start + (nearly.as_ptr() as usize - self.source.slice(body).as_ptr() as usize);
        let hint = if nearly.trim_start_matches('\t') == name {
            format!("with `<<-{name}` the last line may be indented with tabs")
        } else {
            "the last line may have no spaces around the name".to_owned()
        };
        error
            .with_context(
                self.source,
                Span::new(start, start + nearly.len()),
                "this line nearly is",
            )
            .with_hint(hint)
    }

    fn finish(self) -> Result<Parsed, Diagnostics> {
        let (directives, mut errors, _) = self.lexer.finish();
        errors.extend(self.errors);
        let more = errors.len().saturating_sub(MAX_ERRORS);
        if more > 0 {
            errors = errors.into_iter().take(MAX_ERRORS).collect();
            let count = if more == 1 { "error" } else { "errors" };
            errors.push(Diagnostic::error(format!("and {more} more {count}")));
        }
        errors.into_result()?;
        Ok(Parsed {
            dockerfile: Dockerfile {
                source: Arc::clone(self.source),
                directives,
                instructions: self.instructions,
            },
            warnings: self.warnings,
        })
    }
}

/// Only `RUN`, `COPY` and `ADD` (also behind `ONBUILD`), and not in JSON form.
fn may_open_heredocs(line: &LogicalLine, statement: &Statement, escape: char) -> bool {
    let joined = &line.joined;
    let takes = |word: &Word| {
        let takers = ["RUN", "COPY", "ADD"];
        takers
            .iter()
            .any(|name| word.text.eq_ignore_ascii_case(name))
    };
    let is_plain = |statement: &Statement| {
        !matches!(json::form(joined, statement.args.clone()), Form::Strings(_))
    };
    if statement.keyword.text.eq_ignore_ascii_case("ONBUILD") {
        let inner = split::statement(joined, statement.args.clone(), escape);
        return takes(&inner.keyword) && is_plain(&inner);
    }
    takes(&statement.keyword) && is_plain(statement)
}
