//! A file that is there as a whole or not at all.

use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::request::Destination;

/// Writes to a destination. A file appears when it is complete; a pipe or a device, and standard
/// output, are written to as they are.
pub(super) fn write(
    destination: &Destination,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match destination {
        Destination::Stdout => {
            let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
            content(&mut out)?;
            out.flush()
        }
        Destination::File(path) => {
            let there = fs_err::metadata(path);
            if there.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
                let mut out = BufWriter::new(fs_err::File::options().write(true).open(path)?);
                content(&mut out)?;
                return out.flush();
            }
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let mut out = BufWriter::with_capacity(
                256 << 10,
                tempfile::Builder::new()
                    .prefix(".bowline-")
                    .permissions(std::fs::Permissions::from_mode(0o666))
                    .tempfile_in(parent)?,
            );
            content(&mut out)?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        }
    }
}
