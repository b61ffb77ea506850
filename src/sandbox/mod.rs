//! Whose network `RUN` joins by itself: the pod's, or the container's in which bowline runs.
//!
//! Facts first: [`World`] reads what the machine says of bowline's own process, [`gather`] asks
//! the engine about what that names. Then [`decide`], a pure function, judges them; its answer
//! names its reasons. Evidence that contradicts itself is reported, never guessed at.
//!
//! Reads a handful of files below `/proc` and `/etc` and no variable: those are handed in.

mod clues;
mod decide;
mod facts;
mod gather;
mod probe;
mod report;
#[cfg(test)]
mod tests;

pub(crate) use decide::at;
pub use decide::{Claim, Decision, Join, Whose, decide};
pub use facts::{Answers, Asked, Facts, Own, Said, Seen, World};
pub use gather::gather;
pub(crate) use gather::is_ambiguous;
pub use probe::{Probe, probe};
pub use report::Report;
pub(crate) use report::{engine_side, looked_at};

/// The part of an id that people are shown.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
