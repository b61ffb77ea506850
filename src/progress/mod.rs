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
pub use event::{Event, Null, Sink, StepId, StepOutcome, StreamKind, Tee};
pub use json::Json;
pub use log::Log;
pub use numbering::{Numbering, Running};
pub use plain::Plain;
pub use quiet::Quiet;
pub use text::size;
pub use timing::Timing;
pub use tty::Tty;

/// The warnings of a build, once more at its end.
fn repeat_warnings(warnings: &[String]) -> String {
    let count = match warnings.len() {
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    format!("{count}:\n{}", warnings.join("\n"))
}
