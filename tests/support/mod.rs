//! What tests share.

pub(crate) mod engine;
pub(crate) mod registry;
