//! bowline: a native image builder for Docker Engine.

pub mod diag;
pub mod dockerfile;
pub mod source;
