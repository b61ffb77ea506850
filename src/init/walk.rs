//! `init walk [-1] PATH`: what lies below a path of the container's file system, for people who
//! look into a step. `init cat PATH LIMIT`: the start of a file.
//!
//! Each file is `kind mode uid gid size seconds nanoseconds inode path` and, after a zero byte,
//! where a link leads; another zero byte ends it. Other file systems are not entered.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Lists a path: its entries only, or everything below.
pub(crate) fn walk(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let mut path = args.next().unwrap_or_default();
    let shallow = path == "-1";
    if shallow {
        path = args.next().unwrap_or_default();
    }
    let top = PathBuf::from(path);
    // A link on the way is followed, also the last one when it leads to a directory.
    let meta = fs::symlink_metadata(&top)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let is_dir = meta.is_dir() || fs::metadata(&top).is_ok_and(|meta| meta.is_dir());
    if !is_dir {
        show(&mut out, &top, &meta)?;
        return out.flush();
    }
    let device = fs::metadata(&top)?.dev();
    let mut left = vec![top];
    while let Some(directory) = left.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            show(&mut out, &path, &meta)?;
            if meta.is_dir() && !shallow && meta.dev() == device {
                left.push(path);
            }
        }
    }
    out.flush()
}

fn show(out: &mut impl Write, path: &Path, meta: &fs::Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    let letter = match kind {
        kind if kind.is_dir() => 'd',
        kind if kind.is_file() => '-',
        kind if kind.is_symlink() => 'l',
        kind if kind.is_fifo() => 'p',
        kind if kind.is_socket() => 's',
        kind if kind.is_char_device() => 'c',
        _ => 'b',
    };
    write!(
        out,
        "{letter} {:o} {} {} {} {} {} {} ",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ino(),
    )?;
    out.write_all(path.as_os_str().as_bytes())?;
    out.write_all(b"\0")?;
    if kind.is_symlink() {
        out.write_all(fs::read_link(path)?.as_os_str().as_bytes())?;
    }
    out.write_all(b"\0")
}

/// Writes the first bytes of a file.
pub(crate) fn cat(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let path = PathBuf::from(args.next().unwrap_or_default());
    let limit = args.next().unwrap_or_default();
    let limit = limit.to_string_lossy().parse().unwrap_or(u64::MAX);
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut file = fs::File::open(&path)?.take(limit);
    io::copy(&mut file, &mut io::stdout().lock())?;
    Ok(())
}
