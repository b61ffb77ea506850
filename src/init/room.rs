//! A step's own view of the container that it shares: its layers over the container's files,
//! and mounts, processes, devices and System V memory of its own, as an engine would give them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::share::upper;
use super::sys::room::{self, CHAR, MOVE, PRIVATE};
use super::sys::{self, BIND, Ended, NODEV, NOEXEC, NOSUID, REC};
use super::wire::share::LAYERS;

/// What overlay file systems are told besides their directories. Layers are those that an engine
/// would make, a file keeps its identity when it is first written to, and what is not needed
/// after a crash is not written through to the disk.
const OPTIONS: &str = "redirect_dir=off,index=off,metacopy=off,xino=on,volatile";

/// Runs `inside` as the first process of a room for the layer `number` over those `below`, and
/// gives its status.
pub(crate) fn enter(
    number: u32,
    below: &[u32],
    inside: impl FnOnce() -> i32,
) -> Result<i32, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {}", super::lookup::reason(&error))
    };
    prepare(number, below).map_err(failed("cannot make a layer"))?;
    room::leave_namespaces().map_err(failed("cannot make namespaces"))?;
    // SAFETY: this process has one thread.
    let child = unsafe { sys::fork() }.map_err(failed("cannot make a process"))?;
    if child.is_none() {
        let made = room::die_with_parent()
            .map_err(failed("cannot tie processes"))
            .and_then(|()| furnish(number, below).map_err(failed("cannot mount")));
        let status = match made {
            Ok(()) => inside(),
            Err(reason) => {
                eprintln!("{reason}");
                super::wire::SETUP_FAILED
            }
        };
        std::process::exit(status);
    }
    match sys::wait_any().map_err(failed("cannot wait"))? {
        Some((_, Ended::Exited(status))) => Ok(status),
        Some((_, Ended::Killed(signal))) => Ok(128 + signal),
        None => Err("the command is gone".into()),
    }
}

fn of(number: u32, what: &str) -> PathBuf {
    Path::new(LAYERS).join(number.to_string()).join(what)
}

/// Makes the directories of a layer; its root is like the one below.
pub(crate) fn prepare(number: u32, below: &[u32]) -> io::Result<()> {
    for what in ["u", "w", "r"] {
        fs::create_dir_all(of(number, what))?;
    }
    let root = match below.first() {
        Some(top) => upper(*top),
        None => PathBuf::from("/"),
    };
    let (data, own) = (fs::metadata(root)?, upper(number));
    chown(&own, Some(data.uid()), Some(data.gid()))?;
    fs::set_permissions(&own, Permissions::from_mode(data.mode() & 0o7777))?;
    room::set_modified(&own, data.mtime(), data.mtime_nsec())
}

/// Mounts everything and makes it the root.
fn furnish(number: u32, below: &[u32]) -> io::Result<()> {
    sys::mount("", Path::new("/"), "", REC | PRIVATE, "")?;
    let root = of(number, "r");
    // Short names: all of them have to fit into a page.
    std::env::set_current_dir(LAYERS)?;
    let lower: Vec<String> = below.iter().map(|layer| format!("{layer}/u")).collect();
    let lower = [lower.join(":"), "/".to_owned()].join(":");
    let lower = lower.trim_start_matches(':');
    let data = format!("lowerdir={lower},upperdir={number}/u,workdir={number}/w,{OPTIONS}");
    sys::mount("overlay", &root, "overlay", 0, &data)?;
    let outer = outer_mounts()?;
    devices(&root.join("dev"))?;
    let flags = NOSUID | NODEV | NOEXEC;
    sys::mount("proc", &root.join("proc"), "proc", flags, "")?;
    for mount in &outer {
        let below = |top: &str| mount.starts_with(top) && mount != Path::new(top);
        let to = root.join(mount.strip_prefix("/").unwrap_or(mount));
        // What hides or protects parts of the kernel's files does so here too, and the engine's
        // own files are there.
        if below("/dev") || below("/sys") || mount == Path::new("/proc") || mount == Path::new("/dev")
        {
            continue;
        }
        bind(mount, &to)?;
    }
    std::env::set_current_dir(&root)?;
    sys::mount(".", Path::new("/"), "", MOVE, "")?;
    room::change_root_here()?;
    std::env::set_current_dir("/")
}

fn bind(from: &Path, to: &Path) -> io::Result<()> {
    let from_text = from.to_string_lossy();
    match sys::mount(&from_text, to, "", BIND | REC, "") {
        // A process' own files are others here.
        Err(error) if error.kind() == io::ErrorKind::NotFound && from.starts_with("/proc") => Ok(()),
        other => other,
    }
}

/// Where something is mounted in the container, but for the root.
fn outer_mounts() -> io::Result<Vec<PathBuf>> {
    let mounts = sys::mount_points()?;
    Ok(mounts.into_iter().filter(|at| at != Path::new("/")).collect())
}

/// Devices as in the container, and everything else below `/dev` anew.
fn devices(to: &Path) -> io::Result<()> {
    sys::mount("tmpfs", to, "tmpfs", NOSUID, "size=65536k,mode=755")?;
    for entry in fs::read_dir("/dev")? {
        let from = entry?.path();
        let Some(name) = from.file_name() else { continue };
        let (at, data) = (to.join(name), fs::symlink_metadata(&from)?);
        let kind = data.file_type();
        if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &at)?;
        } else if kind.is_char_device() && name != "console" {
            room::make_node(&at, CHAR | data.mode() & 0o7777, data.rdev())?;
            chown(&at, Some(data.uid()), Some(data.gid()))?;
            fs::set_permissions(&at, Permissions::from_mode(data.mode() & 0o7777))?;
        }
    }
    let flags = NOSUID | NOEXEC;
    let fresh = [
        ("pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ("shm", "tmpfs", flags | NODEV, "mode=1777,size=65536k"),
        ("mqueue", "mqueue", flags | NODEV, ""),
    ];
    for (name, kind, flags, data) in fresh {
        let at = to.join(name);
        fs::create_dir(&at)?;
        sys::mount(kind, &at, kind, flags, data)?;
    }
    Ok(())
}
