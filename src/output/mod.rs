//! What becomes of the result.

mod engine;
mod push;

pub use engine::to_engine;
pub use push::push;
