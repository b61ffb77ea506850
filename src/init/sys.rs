//! The few calls into the kernel that `std` does not offer.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::ptr;

#[expect(non_camel_case_types, reason = "its name in C")]
type size_t = usize;

unsafe extern "C" {
    fn setgroups(size: size_t, list: *const u32) -> c_int;
    fn setresgid(real: u32, effective: u32, saved: u32) -> c_int;
    fn setresuid(real: u32, effective: u32, saved: u32) -> c_int;
    fn umask(mask: u32) -> u32;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn signal(number: c_int, handler: *const c_void) -> *const c_void;
    fn sigprocmask(how: c_int, set: *const [u64; 16], old: *mut [u64; 16]) -> c_int;
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char)
    -> c_int;
}

const SIG_SETMASK: c_int = 2;
const LAST_SIGNAL: c_int = 64;

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Becomes another user, for good.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length are of one slice; the others take plain numbers.
    unsafe {
        check(setgroups(groups.len(), groups.as_ptr()))?;
        check(setresgid(gid, gid, gid))?;
        check(setresuid(uid, uid, uid))
    }
}

pub(crate) fn set_umask(mask: u32) {
    // SAFETY: takes a plain number and cannot fail.
    unsafe { umask(mask) };
}

/// Makes `file` the standard input.
pub(crate) fn replace_stdin(file: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    // SAFETY: takes plain numbers; nothing in this program owns descriptor 0.
    check(unsafe { dup2(file.as_raw_fd(), 0) })
}

/// Gives every signal its default back; Rust ignores SIGPIPE, and a caller may have blocked some.
pub(crate) fn reset_signals() {
    // SAFETY: a null handler is SIG_DFL; a zeroed set of 1024 bits is an empty `sigset_t`.
    unsafe {
        for number in 1..=LAST_SIGNAL {
            signal(number, ptr::null());
        }
        sigprocmask(SIG_SETMASK, &[0; 16], ptr::null_mut());
    }
}

/// Becomes another program; returns only when that failed.
pub(crate) fn execute(path: &CString, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const c_char> {
        let null = ptr::null();
        list.iter().map(|s| s.as_ptr()).chain([null]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both lists end with a null pointer, and the strings outlive the call.
    unsafe { execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}
