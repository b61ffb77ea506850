//! Finds the file of a command, with the errors that runc gives.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a command has no file that could be executed.
#[derive(Debug)]
pub(crate) enum Error {
    /// Not in any directory of `PATH`.
    NotInPath(OsString),
    /// A path was named, and this is wrong with it.
    NoFile(OsString, io::Error),
    NotExecutable(OsString, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInPath(name) => write!(
                f,
                "exec: \"{}\": executable file not found in $PATH",
                name.display()
            ),
            Self::NoFile(name, error) => write!(
                f,
                "exec: \"{name}\": stat {name}: {}",
                reason(error),
                name = name.display()
            ),
            Self::NotExecutable(name, error) => {
                write!(f, "exec: \"{}\": {}", name.display(), reason(error))
            }
        }
    }
}

/// The kernel's reason in the words of a Go program: `permission denied`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text.to_owned(),
    }
}

/// The file to execute for `name`: a name with a slash stands for itself, any other is searched
/// in the directories of `path`, of which relative ones do not count.
pub(crate) fn find(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Error> {
    if name.as_bytes().contains(&b'/') {
        let file = PathBuf::from(name);
        return match executable(&file) {
            Ok(()) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::NotExecutable(name.to_owned(), error))
            }
            Err(error) => Err(Error::NoFile(name.to_owned(), error)),
        };
    }
    path.unwrap_or_default()
        .as_bytes()
        .split(|&b| b == b':')
        .map(|directory| Path::new(OsStr::from_bytes(directory)).join(name))
        .find(|file| file.is_absolute() && executable(file).is_ok())
        .ok_or_else(|| Error::NotInPath(OsString::from_vec(name.as_bytes().to_vec())))
}

/// Asks only the mode bits; the kernel has the last word at `execve`.
fn executable(file: &Path) -> io::Result<()> {
    let data = std::fs::metadata(file)?;
    if data.is_dir() || data.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::from_raw_os_error(EACCES));
    }
    Ok(())
}

const EACCES: i32 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_execvp_would() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (plain, second) = (file("a/tool", 0o644), file("b/tool", 0o755));
        let path: OsString = format!("::.:{0}/none:{0}/a:{0}/b", dir.path().display()).into();
        let find_text = |name: &OsStr| match find(name, Some(&path)) {
            Ok(file) => file.display().to_string(),
            Err(error) => error
                .to_string()
                .replace(dir.path().to_str().unwrap(), "DIR"),
        };
        assert_eq!(find_text("tool".as_ref()), second.display().to_string());
        assert_eq!(
            find_text("foo".as_ref()),
            r#"exec: "foo": executable file not found in $PATH"#
        );
        assert_eq!(
            find_text("./foo".as_ref()),
            r#"exec: "./foo": stat ./foo: no such file or directory"#
        );
        assert_eq!(
            find_text(plain.as_os_str()),
            r#"exec: "DIR/a/tool": permission denied"#
        );
        assert_eq!(
            find_text(dir.path().as_os_str()),
            r#"exec: "DIR": permission denied"#
        );
        assert!(matches!(
            find("tool".as_ref(), None),
            Err(Error::NotInPath(_))
        ));
    }
}
