//! The first process of a RUN step's container: prepares what the request says, then becomes
//! the step's command. See `mod.rs` and `wire.rs` beside this file.
//!
//! A program of its own, compiled by the build script; it may use nothing but `std`.

mod cache;
mod confine;
mod directory;
mod hold;
mod layer;
mod lookup;
mod mount;
mod probe;
mod room;
mod scan;
mod share;
mod supervise;
mod sys;
mod user;
mod walk;
#[allow(dead_code, reason = "the library writes what this program reads")]
mod wire;

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wire::{NOT_EXECUTABLE, NOT_FOUND, Request, SETUP_FAILED};

/// The largest file of users or groups that is read, as in BuildKit.
const MAX_FILE: u64 = 10 << 20;

/// An exit status and the message for it.
struct Failure(i32, String);

fn main() {
    let mut args = std::env::args_os().skip(1);
    let verb = args.next().unwrap_or_default();
    match verb.to_str() {
        Some("probe") => {
            let urls: Vec<String> = std::env::args().skip(2).collect();
            let shown = probe::show(&urls, &mut io::stdout().lock());
            std::process::exit(i32::from(shown.is_err()));
        }
        Some("walk") => finish(walk::walk(args)),
        Some("cat") => finish(walk::cat(args)),
        Some("join") => end("join", &hold::join(args)),
        Some("share") => std::process::exit(share::serve()),
        Some("room") => std::process::exit(in_room(&numbers(args))),
        Some("apply") => std::process::exit(apply(&numbers(args))),
        _ => {}
    }
    step(verb == "hold")
}

fn numbers(args: impl Iterator<Item = OsString>) -> Vec<u32> {
    let number = |arg: OsString| arg.to_str()?.parse().ok();
    args.filter_map(number).collect()
}

/// A step in a room of its own; without a number, only whether there can be rooms.
fn in_room(numbers: &[u32]) -> i32 {
    sys::set_umask(0o022);
    let entered = match numbers {
        [] => room::enter(0, &[], || 0),
        [number, below @ ..] => room::enter(*number, below, || step(false)),
    };
    entered.unwrap_or_else(|reason| {
        tell(&format!("{reason}\n"));
        SETUP_FAILED
    })
}

/// Makes layers the container's own, the lowest first.
fn apply(numbers: &[u32]) -> i32 {
    sys::set_umask(0);
    for number in numbers {
        if let Err(error) = layer::apply(&share::upper(*number), Path::new("/")) {
            tell(&format!("{}\n", lookup::reason(&error)));
            return SETUP_FAILED;
        }
    }
    0
}

/// Runs the step of the request on standard input, or holds its container.
fn step(hold: bool) -> ! {
    let request = match Request::read(&mut io::stdin()) {
        Ok(request) => request,
        Err(error) => end("", &Failure(SETUP_FAILED, error.to_string())),
    };
    let token = request.token.clone();
    let done = if hold {
        hold::hold(request)
    } else {
        run(&request)
    };
    match done {
        Ok(status) => std::process::exit(status),
        Err(failure) => end(&token, &failure),
    }
}

/// Says why nothing was started.
fn end(token: &str, Failure(status, message): &Failure) -> ! {
    tell(&wire::failure_line(token, message));
    std::process::exit(*status);
}

fn finish(result: io::Result<()>) -> ! {
    if let Err(error) = &result {
        tell(&format!("{}\n", lookup::reason(error)));
    }
    std::process::exit(i32::from(result.is_err()));
}

/// What a step finds in its container before its mounts; gives the number of the root's device.
fn prepare(request: &Request) -> Result<u64, Failure> {
    sys::set_umask(0o022);
    let root = fs::metadata("/").map_err(setup("cannot see /"))?.dev();
    write_files(request, root)?;
    Ok(root)
}

/// Becomes the command, or runs it and gives its status where something is left to do after it.
fn run(request: &Request) -> Result<i32, Failure> {
    let root = prepare(request)?;
    let null = fs::File::open("/dev/null").map_err(setup("cannot open /dev/null"))?;
    sys::replace_stdin(&null).map_err(setup("cannot replace standard input"))?;
    drop(null);
    if request.mounts.is_empty() && request.needles.is_empty() {
        return Err(become_command(request));
    }
    let began = now();
    let mounted = mount::mount_all(&request.mounts, root);
    let mounted = mounted.map_err(|message| Failure(SETUP_FAILED, message))?;
    let status = supervise::run(|| {
        let Failure(status, message) = become_command(request);
        tell(&wire::failure_line(&request.token, &message));
        status
    });
    let status = status.map_err(setup("cannot run the command"))?;
    mounted
        .unmount_all()
        .map_err(|message| Failure(SETUP_FAILED, message))?;
    if status == 0 && !request.needles.is_empty() {
        for (name, path) in scan::find(&request.needles, Path::new("/"), began) {
            let report = format!("{}{name}\t{}", wire::LEAK, path.display());
            tell(&wire::report_line(&request.token, &report));
        }
    }
    Ok(status)
}

/// In seconds since 1970, a little earlier: a file system's clock goes in ticks.
fn now() -> i64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX) - 1)
}

fn tell(line: &str) {
    // Nobody listens any more when this fails.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Returns only when that failed.
fn become_command(request: &Request) -> Failure {
    let prepared = || {
        let passwd = read_users("/etc/passwd");
        let who = user::resolve(&request.user, &passwd, &read_users("/etc/group"))
            .map_err(|error| Failure(SETUP_FAILED, error.to_string()))?;
        let env = environment(request, user::home(who.uid, &passwd));
        confine::confine(request.confinement, &request.apparmor)
            .map_err(setup("cannot confine the command"))?;
        become_user_in_directory(request, &who)?;
        Ok(env)
    };
    let env = match prepared() {
        Ok(env) => env,
        Err(failure) => return failure,
    };
    sys::set_umask(request.umask);
    sys::reset_signals();
    execute(request, &env)
}

fn setup(what: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure(SETUP_FAILED, format!("{what}: {}", lookup::reason(&error)))
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn write_files(request: &Request, root: u64) -> Result<(), Failure> {
    for file in &request.files {
        let to = path(&file.path);
        directory::write(to, &file.content, file.mode, (file.uid, file.gid), root)
            .map_err(setup(&format!("cannot write {}", to.display())))?;
    }
    Ok(())
}

/// A missing, special or overlong file is as good as none.
fn read_users(path: &str) -> String {
    let mut bytes = Vec::new();
    if fs::metadata(path).is_ok_and(|data| data.is_file())
        && let Ok(file) = fs::File::open(path)
    {
        let _ = file.take(MAX_FILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// As runc has it: of one name the last value counts, and an empty `HOME` is none.
fn environment(request: &Request, home: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut env: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(request.env.len() + 1);
    let home = (b"HOME".to_vec(), home.as_bytes().to_vec());
    let has_home = request.env.iter().rfind(|(name, _)| *name == home.0);
    let home = has_home
        .is_none_or(|(_, value)| value.is_empty())
        .then_some(home);
    for (name, value) in request.env.iter().cloned().chain(home) {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    env
}

/// Root may enter directories that the user may not, and on some mounts it is the other way
/// round; whoever can, does. What is missing is made, and belongs to the user.
fn become_user_in_directory(request: &Request, who: &user::Identity) -> Result<(), Failure> {
    let cwd = path(&request.cwd);
    let name = cwd.display();
    if !cwd.exists() {
        directory::make(cwd, who.uid, who.gid)
            .map_err(setup(&format!("failed to create working directory {name}")))?;
    }
    let entered = std::env::set_current_dir(cwd);
    sys::become_user(who.uid, who.gid, &who.groups)
        .map_err(setup(&format!("cannot become user {}", request.user)))?;
    entered
        .or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => std::env::set_current_dir(cwd),
            _ => Err(error),
        })
        .map_err(setup(&format!("cannot enter working directory {name}")))
}

/// Returns only when the command could not be started.
fn execute(request: &Request, env: &[(Vec<u8>, Vec<u8>)]) -> Failure {
    let Some(command) = request.args.first() else {
        return Failure(SETUP_FAILED, "no command".to_owned());
    };
    let search = env.iter().find(|(name, _)| name == b"PATH");
    let search = search.map(|(_, value)| OsStr::from_bytes(value));
    let file = match lookup::find(OsStr::from_bytes(command), search) {
        Ok(file) => file,
        Err(error @ lookup::Error::NotExecutable(..)) => {
            return Failure(NOT_EXECUTABLE, error.to_string());
        }
        Err(error) => return Failure(NOT_FOUND, error.to_string()),
    };
    let pairs = env
        .iter()
        .map(|(name, value)| [name, b"=".as_slice(), value].concat());
    let strings = || -> Result<_, std::ffi::NulError> {
        Ok((
            CString::new(file.as_os_str().as_bytes())?,
            request
                .args
                .iter()
                .cloned()
                .map(CString::new)
                .collect::<Result<Vec<_>, _>>()?,
            pairs.map(CString::new).collect::<Result<Vec<_>, _>>()?,
        ))
    };
    let Ok((path, args, env)) = strings() else {
        let message = "an argument or a variable contains a zero byte".to_owned();
        return Failure(SETUP_FAILED, message);
    };
    let error = sys::execute(&path, &args, &env);
    let message = format!("exec {}: {}", file.display(), lookup::reason(&error));
    Failure(NOT_EXECUTABLE, message)
}
