//! What a build tells about itself: [`Event`]s that go into a [`Sink`].
//!
//! The build owns the trait and knows no renderer; renderers see events and nothing else.

mod event;

pub use event::{Event, Null, Sink, StepId, StepOutcome, StreamKind};
