//! `bowline install` and `bowline uninstall`: bowline as a plugin of the docker CLI, and as what
//! `docker build` calls.
//!
//! Two things are touched, both below Docker's configuration directory: the plugin itself, and
//! `aliases.builder` of `config.json` (what `docker buildx install` sets as well). What stood
//! there before is kept in `plugins.bowline.builder`, the place of that file for a plugin's own
//! settings, and put back by `uninstall`.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use super::plugin;
use crate::diag::{Class, Diagnostic};

/// The value of `aliases.builder` that means bowline.
const ALIAS: &str = "bowline";

type Result<T> = std::result::Result<T, Diagnostic>;

/// Makes `program` a plugin and, with `builder`, what `docker build` calls. Gives what was done.
pub(super) fn install(docker_config: &Path, program: &Path, builder: bool) -> Result<Vec<String>> {
    let plugin = plugin_path(docker_config);
    let directory = plugin.parent().expect("it is below a directory");
    fs_err::create_dir_all(directory).map_err(failed)?;
    let copy = NamedTempFile::new_in(directory).map_err(failed)?;
    // A copy, since the program itself may lie in a directory that goes away. It takes the place
    // of an older one at once: that may be running.
    fs_err::copy(program, copy.path()).map_err(failed)?;
    copy.persist(&plugin).map_err(|e| failed(e.error))?;
    let mut done = vec![format!(
        "`docker bowline` is `{}`, a copy of `{}`",
        plugin.display(),
        program.display()
    )];
    if builder {
        let mut config = Config::read(docker_config)?;
        config.take_alias();
        config.write()?;
        done.push(format!(
            "`docker build` calls bowline: `aliases.builder` in `{}`",
            config.path.display()
        ));
    }
    Ok(done)
}

/// Undoes what [`install`] did, and gives what that was.
pub(super) fn uninstall(docker_config: &Path) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut config = Config::read(docker_config)?;
    if let Some(now) = config.give_alias_back() {
        config.write()?;
        let path = config.path.display();
        done.push(match now {
            Some(before) => format!("`docker build` calls `{before}` again: `{path}`"),
            None => format!("`docker build` calls Docker's own builder again: `{path}`"),
        });
    }
    let plugin = plugin_path(docker_config);
    match fs_err::remove_file(&plugin) {
        Ok(()) => done.push(format!("removed `{}`", plugin.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    if done.is_empty() {
        done.push(format!(
            "bowline was not installed in `{}`",
            docker_config.display()
        ));
    }
    Ok(done)
}

fn plugin_path(docker_config: &Path) -> PathBuf {
    docker_config.join("cli-plugins").join(plugin::PROGRAM)
}

/// Docker's `config.json`; what bowline does not know in it stays as it is.
struct Config {
    path: PathBuf,
    content: Map<String, Value>,
}

impl Config {
    fn read(docker_config: &Path) -> Result<Self> {
        let path = docker_config.join("config.json");
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let content = if text.trim().is_empty() {
            Map::new()
        } else {
            serde_json::from_str(&text).map_err(|error| {
                Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
                    .with_hint("mend the file; nothing was changed")
            })?
        };
        Ok(Self { path, content })
    }

    fn take_alias(&mut self) {
        let aliases = section(&mut self.content, "aliases");
        let before = aliases.insert("builder".to_owned(), ALIAS.into());
        if before.as_ref().and_then(Value::as_str) == Some(ALIAS) {
            return;
        }
        let own = section(section(&mut self.content, "plugins"), ALIAS);
        match before {
            Some(before) => own.insert("builder".to_owned(), before),
            None => own.remove("builder"),
        };
        self.drop_empty();
    }

    /// What the alias is now, if it was ours.
    fn give_alias_back(&mut self) -> Option<Option<String>> {
        let aliases = self.content.get_mut("aliases")?.as_object_mut()?;
        if aliases.get("builder").and_then(Value::as_str) != Some(ALIAS) {
            return None;
        }
        let own = self
            .content
            .get_mut("plugins")
            .and_then(Value::as_object_mut);
        let own = own.and_then(|plugins| plugins.get_mut(ALIAS)?.as_object_mut());
        let before = own.and_then(|own| own.remove("builder"));
        let now = before.as_ref().and_then(Value::as_str).map(str::to_owned);
        let aliases = section(&mut self.content, "aliases");
        match before {
            Some(before) => aliases.insert("builder".to_owned(), before),
            None => aliases.remove("builder"),
        };
        self.drop_empty();
        Some(now)
    }

    /// Removes the sections that hold nothing.
    fn drop_empty(&mut self) {
        let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        if let Some(plugins) = self
            .content
            .get_mut("plugins")
            .and_then(Value::as_object_mut)
            && plugins.get(ALIAS).is_some_and(is_empty)
        {
            plugins.remove(ALIAS);
        }
        for name in ["plugins", "aliases"] {
            if self.content.get(name).is_some_and(is_empty) {
                self.content.remove(name);
            }
        }
    }

    /// Replaces the file at once, with its mode: it holds credentials. A link stays one.
    fn write(&self) -> Result<()> {
        let path = fs_err::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = path.parent().expect("it is a file in a directory");
        fs_err::create_dir_all(directory).map_err(failed)?;
        let mut file = NamedTempFile::new_in(directory).map_err(failed)?;
        let mut formatter = serde_json::Serializer::with_formatter(
            &mut file,
            // As the docker CLI writes it.
            serde_json::ser::PrettyFormatter::with_indent(b"\t"),
        );
        serde::Serialize::serialize(&self.content, &mut formatter)
            .map_err(|error| failed(error.into()))?;
        if let Ok(old) = fs_err::metadata(&path) {
            fs_err::set_permissions(file.path(), old.permissions()).map_err(failed)?;
        }
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// The object under a name, made when something else or nothing stands there.
fn section<'a>(content: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = content.entry(name).or_insert_with(|| Map::new().into());
    if !value.is_object() {
        *value = Map::new().into();
    }
    value.as_object_mut().expect("it was made one")
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
fn failed(error: io::Error) -> Diagnostic {
    Diagnostic::error(error.to_string()).with_class(Class::Environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a `config.json` by installing, and then by uninstalling.
    fn round_trip(before: Option<&str>) -> (String, String) {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.json");
        let program = directory.path().join("bowline");
        fs_err::write(&program, "the program").unwrap();
        if let Some(before) = before {
            fs_err::write(&config, before).unwrap();
        }
        let docker = directory.path();
        // Twice does what once does.
        install(docker, &program, true).unwrap();
        install(docker, &program, true).unwrap();
        let plugin = docker.join("cli-plugins/docker-bowline");
        assert_eq!(fs_err::read_to_string(&plugin).unwrap(), "the program");
        let installed = fs_err::read_to_string(&config).unwrap();
        uninstall(docker).unwrap();
        assert!(!plugin.exists());
        let after = fs_err::read_to_string(&config).unwrap();
        assert_eq!(
            uninstall(docker).unwrap(),
            [format!(
                "bowline was not installed in `{}`",
                docker.display()
            )]
        );
        let compact = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            value.to_string()
        };
        (compact(&installed), compact(&after))
    }

    #[test]
    fn what_was_there_comes_back() {
        for (before, installed) in [
            (None, r#"{"aliases":{"builder":"bowline"}}"#),
            (
                Some(r#"{"auths":{"r":{"auth":"x"}}}"#),
                r#"{"auths":{"r":{"auth":"x"}},"aliases":{"builder":"bowline"}}"#,
            ),
            (
                Some(r#"{"aliases":{"builder":"buildx"},"plugins":{"other":{"a":"b"}}}"#),
                r#"{"aliases":{"builder":"bowline"},"plugins":{"other":{"a":"b"},"bowline":{"builder":"buildx"}}}"#,
            ),
        ] {
            let after = before.unwrap_or("{}").to_owned();
            assert_eq!(round_trip(before), (installed.to_owned(), after));
        }
    }

    #[test]
    fn another_builder_stays() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.json");
        let text = r#"{"aliases":{"builder":"buildx"}}"#;
        fs_err::write(&config, text).unwrap();
        uninstall(directory.path()).unwrap();
        assert_eq!(fs_err::read_to_string(&config).unwrap(), text);
    }

    #[test]
    fn a_broken_config_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.json");
        fs_err::write(&config, "{").unwrap();
        let program = directory.path().join("bowline");
        fs_err::write(&program, "").unwrap();
        let error = install(directory.path(), &program, true).unwrap_err();
        assert!(error.message.contains("config.json"), "{error:?}");
        assert_eq!(fs_err::read_to_string(&config).unwrap(), "{");
    }
}
