//! The few calls into the kernel that `std` does not offer.

pub(crate) mod room;

use std::ffi::{CString, OsString, c_char, c_int, c_ulong, c_void};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr;

use super::mount::text as path_text;

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
    #[link_name = "mount"]
    fn c_mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
    fn flock(file: c_int, operation: c_int) -> c_int;
    #[link_name = "fork"]
    fn c_fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn prctl(option: c_int, a: c_ulong, b: *const c_void, c: c_ulong, d: c_ulong) -> c_int;
    fn capget(header: *const [u32; 2], data: *mut [u32; 6]) -> c_int;
    fn capset(header: *const [u32; 2], data: *const [u32; 6]) -> c_int;
}

const SIG_SETMASK: c_int = 2;
const SIGCHLD: c_int = 17;
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
pub(crate) fn replace_stdin(file: &impl AsRawFd) -> io::Result<()> {
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

/// Lets the kernel forget children that end.
pub(crate) fn ignore_children() {
    // SAFETY: 1 is SIG_IGN.
    unsafe { signal(SIGCHLD, ptr::without_provenance(1)) };
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

pub(crate) const RDONLY: u64 = 1;
pub(crate) const NOSUID: u64 = 2;
pub(crate) const NODEV: u64 = 4;
pub(crate) const NOEXEC: u64 = 8;
pub(crate) const REMOUNT: u64 = 32;
pub(crate) const BIND: u64 = 4096;
pub(crate) const REC: u64 = 16384;

/// `mount(2)`
pub(crate) fn mount(
    source: &str,
    target: &Path,
    kind: &str,
    flags: u64,
    data: &str,
) -> io::Result<()> {
    let text = |text: &str| CString::new(text).map_err(io::Error::other);
    let (source, kind, data) = (text(source)?, text(kind)?, text(data)?);
    let target = path_text(target)?;
    // SAFETY: the strings end with a zero byte and outlive the call.
    check(unsafe {
        c_mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags as c_ulong,
            data.as_ptr().cast(),
        )
    })
}

/// Takes away what is mounted at a path, even where something still uses it.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    const DETACH: c_int = 2;
    const NOFOLLOW: c_int = 8;
    let target = path_text(target)?;
    // SAFETY: the string ends with a zero byte and outlives the call.
    check(unsafe { umount2(target.as_ptr(), DETACH | NOFOLLOW) })
}

/// Where something is mounted, in the order in which it was.
pub(crate) fn mount_points() -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read("/proc/self/mounts")?;
    let at = |line: &[u8]| {
        let at = line.split(|b| *b == b' ').nth(1)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(at))))
    };
    Ok(mounts.split(|b| *b == b'\n').filter_map(at).collect())
}

/// The flags of the mount at a path that a remount has to repeat.
pub(crate) fn mount_flags(target: &Path) -> io::Result<u64> {
    let mounts = fs::read("/proc/self/mounts")?;
    let mut flags = 0;
    for line in mounts.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b' ');
        let (Some(at), Some(options)) = (fields.nth(1), fields.nth(1)) else {
            continue;
        };
        if unescaped(at) == target.as_os_str().as_encoded_bytes() {
            // Of several at one place the last is on top.
            flags = 0;
            for option in options.split(|b| *b == b',') {
                flags |= match option {
                    b"ro" => RDONLY,
                    b"nosuid" => NOSUID,
                    b"nodev" => NODEV,
                    b"noexec" => NOEXEC,
                    b"noatime" => 1024,
                    b"nodiratime" => 2048,
                    b"relatime" => 1 << 21,
                    _ => 0,
                };
            }
        }
    }
    Ok(flags)
}

/// White space and backslashes stand there as octal numbers.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(code) if first == b'\\' => {
                plain.push(code);
                rest = &after[3..];
            }
            _ => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

/// How a file is locked.
#[derive(Clone, Copy)]
pub(crate) enum Lock {
    /// Alone, as soon as it is free.
    Wait,
    /// Alone, if it is free.
    TryAlone,
    /// With others who do the same, if nobody has it alone.
    TryShared,
}

/// Locks a file until it is closed; whether that was possible.
pub(crate) fn lock(file: &File, how: Lock) -> io::Result<bool> {
    let operation = match how {
        Lock::Wait => 2,
        Lock::TryAlone => 2 | 4,
        Lock::TryShared => 1 | 4,
    };
    // SAFETY: takes plain numbers.
    match check(unsafe { flock(file.as_raw_fd(), operation) }) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// A second process: `None` in it, its number in the first.
///
/// # Safety
/// The process must have one thread.
pub(crate) unsafe fn fork() -> io::Result<Option<c_int>> {
    // SAFETY: the caller's.
    let pid = unsafe { c_fork() };
    check(pid)?;
    Ok((pid != 0).then_some(pid))
}

/// How a process ended.
pub(crate) enum Ended {
    Exited(c_int),
    Killed(c_int),
}

/// Waits for the end of any child; `None` when there is no child.
pub(crate) fn wait_any() -> io::Result<Option<(c_int, Ended)>> {
    const NO_CHILD: i32 = 10;
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a local number.
        let pid = unsafe { waitpid(-1, &raw mut status, 0) };
        if pid < 0 {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(NO_CHILD) => return Ok(None),
                _ if error.kind() == io::ErrorKind::Interrupted => continue,
                _ => return Err(error),
            }
        }
        let signal = status & 0x7f;
        let ended = if signal == 0 {
            Ended::Exited(status >> 8 & 0xff)
        } else {
            Ended::Killed(signal)
        };
        return Ok(Some((pid, ended)));
    }
}

/// Ends every other process that this one may signal: as process 1, all of the container's.
pub(crate) fn kill_all() {
    // SAFETY: takes plain numbers.
    unsafe { kill(-1, 9) };
}

/// Nobody may look into this process, root included.
pub(crate) fn hide_memory() -> io::Result<()> {
    const SET_DUMPABLE: c_int = 4;
    // SAFETY: takes plain numbers.
    check(unsafe { prctl(SET_DUMPABLE, 0, ptr::null(), 0, 0) })
}

/// Gives up the capability to mount, for this process and all that come from it.
pub(crate) fn drop_mounting() -> io::Result<()> {
    const BOUNDING_DROP: c_int = 24;
    const SYS_ADMIN: u32 = 21;
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    // Effective, permitted and inheritable, low words and then high ones.
    let mut data = [0; 6];
    // SAFETY: header and data have the sizes that this version has.
    unsafe {
        check(prctl(
            BOUNDING_DROP,
            c_ulong::from(SYS_ADMIN),
            ptr::null(),
            0,
            0,
        ))?;
        check(capget(&raw const header, &raw mut data))?;
        for word in &mut data[..3] {
            *word &= !(1 << SYS_ADMIN);
        }
        check(capset(&raw const header, &raw const data))
    }
}

/// Installs a filter of system calls.
pub(crate) fn filter(program: &[super::confine::Instruction]) -> io::Result<()> {
    const SET_SECCOMP: c_int = 22;
    const FILTER: c_ulong = 2;
    #[repr(C)]
    struct Step {
        code: u16,
        yes: u8,
        no: u8,
        operand: u32,
    }
    #[repr(C)]
    struct Program {
        length: u16,
        steps: *const Step,
    }
    let steps: Vec<Step> = program
        .iter()
        .map(|&(code, yes, no, operand)| Step {
            code,
            yes,
            no,
            operand,
        })
        .collect();
    let program = Program {
        length: u16::try_from(steps.len()).map_err(io::Error::other)?,
        steps: steps.as_ptr(),
    };
    // SAFETY: the program points to as many steps as it says, and they outlive the call.
    check(unsafe { prctl(SET_SECCOMP, FILTER, (&raw const program).cast(), 0, 0) })
}
