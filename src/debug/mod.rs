//! The step debugger: one [`Stepper`], which is the build's gate, and two faces of it.
//!
//! [`console`] is the terminal, [`dap`] the Debug Adapter Protocol; both understand the same
//! [`command`]s. They speak to the stepper and to [`inspect`], which alone know the engine.

mod breakpoint;
mod catalog;
pub mod command;
mod condition;
pub mod console;
pub mod dap;
mod help;
pub mod inspect;
mod logs;
pub mod shell;
mod show;
mod stepper;
mod terminal;
mod words;

pub use breakpoint::{Breakpoint, Extras, Trigger};
pub use catalog::Catalog;
pub use command::{Desk, Done, Subject};
pub use logs::{Held as HeldEvents, Logs};
pub use stepper::{Ending, News, Order, Reason, Stepper, Stop};
pub use terminal::{Raw, Tty};
