//! Calls into the kernel for what stands between a step and the container that it shares.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::path::Path;
use std::ptr;

use super::path_text;
use super::{check, prctl, size_t};

unsafe extern "C" {
    fn unshare(flags: c_int) -> c_int;
    fn chroot(path: *const c_char) -> c_int;
    fn mknod(path: *const c_char, mode: u32, device: u64) -> c_int;
    fn lgetxattr(
        path: *const c_char,
        name: *const c_char,
        value: *mut c_void,
        size: size_t,
    ) -> isize;
    fn lsetxattr(
        path: *const c_char,
        name: *const c_char,
        value: *const c_void,
        size: size_t,
        flags: c_int,
    ) -> c_int;
    fn utimensat(at: c_int, path: *const c_char, times: *const [i64; 4], flags: c_int) -> c_int;
}

pub(crate) const PRIVATE: u64 = 1 << 18;
pub(crate) const MOVE: u64 = 8192;

pub(crate) const CHAR: u32 = 0o020_000;
pub(crate) const BLOCK: u32 = 0o060_000;
pub(crate) const FIFO: u32 = 0o010_000;

/// Own mounts, processes and System V memory, the processes from the next child on.
pub(crate) fn leave_namespaces() -> io::Result<()> {
    const MOUNTS: c_int = 0x0002_0000;
    const IPC: c_int = 0x0800_0000;
    const PROCESSES: c_int = 0x2000_0000;
    // SAFETY: takes plain numbers.
    check(unsafe { unshare(MOUNTS | IPC | PROCESSES) })
}

/// The working directory becomes the root.
pub(crate) fn change_root_here() -> io::Result<()> {
    let here = CString::from(c".");
    // SAFETY: the string outlives the call.
    check(unsafe { chroot(here.as_ptr()) })
}

/// A device, pipe or file.
pub(crate) fn make_node(path: &Path, mode: u32, device: u64) -> io::Result<()> {
    let path = path_text(path)?;
    // SAFETY: the string outlives the call.
    check(unsafe { mknod(path.as_ptr(), mode, device) })
}

/// An extended attribute of a file itself; `None` where it has none of that name.
pub(crate) fn attribute(path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    const NO_DATA: i32 = 61;
    const NOT_SUPPORTED: i32 = 95;
    let (path, name) = (
        path_text(path)?,
        CString::new(name).map_err(io::Error::other)?,
    );
    let mut value = vec![0_u8; 65536];
    // SAFETY: the strings outlive the call, and the buffer is as long as it says.
    let length = unsafe {
        lgetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let Ok(length) = usize::try_from(length) else {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(NO_DATA | NOT_SUPPORTED) => Ok(None),
            _ => Err(error),
        };
    };
    value.truncate(length);
    Ok(Some(value))
}

pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let (path, name) = (
        path_text(path)?,
        CString::new(name).map_err(io::Error::other)?,
    );
    // SAFETY: the strings and the value outlive the call.
    check(unsafe {
        lsetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    })
}

/// Sets when a file itself was last changed.
pub(crate) fn set_modified(path: &Path, seconds: i64, nanos: i64) -> io::Result<()> {
    const HERE: c_int = -100;
    const NOFOLLOW: c_int = 0x100;
    let path = path_text(path)?;
    let times = [seconds, nanos, seconds, nanos];
    // SAFETY: the string and the times outlive the call; a time is two longs.
    check(unsafe { utimensat(HERE, path.as_ptr(), &raw const times, NOFOLLOW) })
}

/// This process ends with the one that made it.
pub(crate) fn die_with_parent() -> io::Result<()> {
    const SET_DEATH_SIGNAL: c_int = 1;
    // SAFETY: takes plain numbers.
    check(unsafe { prctl(SET_DEATH_SIGNAL, 9, ptr::null(), 0, 0) })
}
