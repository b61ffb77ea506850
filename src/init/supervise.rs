//! Stays beside the command: for steps that leave something to be taken away or looked at.
//!
//! The command is a child here, not process 1. Everything that it started ends with it, as it
//! would if it were.

use std::io::{self, Write};

use super::sys::{self, Ended};

/// Runs `command` in a child, which becomes it or ends; gives the exit status.
pub(crate) fn run(command: impl FnOnce() -> i32) -> io::Result<i32> {
    // What the command leaves of this process' memory is nobody's business.
    sys::hide_memory()?;
    // SAFETY: this process has one thread.
    let child = unsafe { sys::fork() }?;
    let Some(child) = child else {
        let status = command();
        let _ = io::stderr().flush();
        std::process::exit(status);
    };
    loop {
        match sys::wait_any()? {
            Some((pid, ended)) if pid == child => {
                sys::kill_all();
                // Until there is none left.
                while let Ok(Some(_)) = sys::wait_any() {}
                return Ok(match ended {
                    Ended::Exited(status) => status,
                    Ended::Killed(signal) => 128 + signal,
                });
            }
            Some(_) => {}
            None => return Err(io::Error::other("the command is gone")),
        }
    }
}
