//! The language of Dockerfiles: text in, typed instructions with a span on every word out.
//!
//! [`parse()`] does everything that can be done without knowing a variable's value
//! and reports every independent error of a file in one run. [`expand`] is the
//! shell-like expansion of words, given the variables. Stages are grouped, values
//! are expanded and images are looked up by the planner, not here.
//!
//! Reads no files, no environment, no clock: it must run in a fuzzer and in an editor.
//! Names `source`, `diag` and `image` only.

pub mod ast;
mod csv;
mod directive;
pub mod expand;
mod flags;
#[cfg(test)]
mod golden;
mod heredoc;
mod joined;
mod json;
mod lex;
pub mod mount;
mod parse;
mod split;

pub use parse::{Parsed, parse, parse_instruction, syntax};
