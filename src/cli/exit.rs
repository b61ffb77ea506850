//! How the program ends. `docs/exit-codes.md` is for users what this file is for the program.

use std::process::ExitCode;

use crate::diag::Class;

/// Why the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success,
    /// As `quit CODE` of the debugger says.
    Chosen(u8),
    Failed(Class),
    /// By a signal, whose number this is.
    Signal(u8),
    /// Nobody reads the output any more.
    OutputClosed,
}

/// The number of SIGPIPE, which is how programs end whose reader has gone.
const SIGPIPE: u8 = 13;

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Chosen(code) => code,
            Self::Failed(class) => class.exit_code(),
            Self::Signal(number) => 128 + number,
            Self::OutputClosed => 128 + SIGPIPE,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page for users names every code.
    #[test]
    fn the_documentation_is_complete() {
        let page = include_str!("../../docs/exit-codes.md");
        for exit in [
            Exit::Success,
            Exit::Failed(Class::Yours),
            Exit::Failed(Class::Step),
            Exit::Failed(Class::Environment),
            Exit::Signal(1),
            Exit::Signal(2),
            Exit::Signal(15),
            Exit::OutputClosed,
        ] {
            let row = format!("| {} |", exit.code());
            assert!(page.contains(&row), "{exit:?}");
        }
    }
}
