//! `bowline man`: the manual, made from the flags.

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::diag::{Class, Diagnostic};

/// The page of the program itself; with a directory the page of every command goes there, and
/// nothing is left to print.
pub(super) fn pages(program: &Command, directory: Option<&Path>) -> Result<Vec<u8>, Diagnostic> {
    let failed =
        |error: io::Error| Diagnostic::error(error.to_string()).with_class(Class::Environment);
    let mut page = Vec::new();
    match directory {
        None => Man::new(program.clone())
            .render(&mut page)
            .map_err(failed)?,
        Some(directory) => {
            fs_err::create_dir_all(directory).map_err(failed)?;
            clap_mangen::generate_to(program.clone(), directory).map_err(failed)?;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        let program = crate::cli::args::Cli::command();
        assert_eq!(pages(&program, Some(directory.path())).unwrap(), b"");
        for command in program.get_subcommands() {
            let page = directory
                .path()
                .join(format!("bowline-{}.1", command.get_name()));
            assert!(page.exists(), "{page:?}");
        }
        let page = String::from_utf8(pages(&program, None).unwrap()).unwrap();
        assert!(page.contains(".TH bowline 1"), "{page}");
    }
}
