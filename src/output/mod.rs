//! What becomes of the result.

mod engine;

pub use engine::to_engine;
