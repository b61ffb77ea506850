//! What a build tells about itself: [`Event`]s that go into a [`Sink`], and the renderers that
//! show them.
//!
//! The build owns the trait and knows no renderer; renderers see events and nothing else.
//! [`Display`] is the sink that drives renderers: [`Plain`] for logs, [`Tty`] for terminals,
//! [`Json`] for programs, [`Quiet`] for errors only, and [`Log`] for the file that keeps all.

mod display;
mod event;
mod json;
mod log;
mod numbering;
mod plain;
mod quiet;
mod step;
#[cfg(test)]
mod testing;
mod text;
mod timing;
mod tty;

pub use display::{Display, Output, Render};
pub use event::{Event, LintWarning, Null, Sink, StepId, StepOutcome, StreamKind, Tee};
pub use json::Json;
pub use log::Log;
pub use numbering::{Numbering, Running};
pub use plain::Plain;
pub use quiet::Quiet;
pub use text::size;
pub use timing::Timing;
pub use tty::Tty;

/// What the linter found, once more at the end, in BuildKit's form.
fn lint_summary(warnings: &[std::sync::Arc<LintWarning>], color: bool) -> String {
    let count = match warnings.len() {
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    let expanded = warnings.iter().all(|warning| warning.excerpt.is_some());
    let hint = if expanded {
        ""
    } else {
        " (use --debug to expand)"
    };
    let mut text = format!(" {count} found{hint}:");
    if color {
        text = format!(" \u{1b}[33m{count} found{hint}:\u{1b}[0m");
    }
    for warning in warnings {
        text += &format!("\n - {}", warning.short);
        if let Some(excerpt) = &warning.excerpt {
            text += &format!("\n{}\n", warning.detail);
            if !warning.url.is_empty() {
                text += &format!("More info: {}\n", warning.url);
            }
            text += excerpt;
        }
    }
    text
}

/// The warnings of a build, once more at its end.
fn repeat_warnings(warnings: &[String]) -> String {
    let count = match warnings.len() {
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    format!("{count}:\n{}", warnings.join("\n"))
}
