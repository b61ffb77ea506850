//! `RUN --mount=`: what each means for its step.

use super::action::{CacheDir, CopyFrom, FileOf, MountSource, RunMount, Secret};
use super::errors::at;
use super::state::{State, clean, join};
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Instruction, Mount, RunInst};
use crate::dockerfile::mount::{MountKind, ResolvedMount, Sharing};

/// What the mounts of a step come to.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// In the order in which BuildKit makes them.
    pub(super) mounts: Vec<RunMount>,
    pub(super) secret_env: Vec<Secret>,
    /// The socket for `SSH_AUTH_SOCK`.
    pub(super) agent: Option<String>,
}

/// Directories of a cache mount are made with the umask of the engine.
const UMASK: u32 = 0o022;

impl State {
    /// The mounts of a `RUN`; `froms` says for each where its files are, `namespace` is
    /// prepended to the IDs of caches.
    pub(super) fn mounts(
        &self,
        inst: &Instruction,
        run: &RunInst,
        froms: &[CopyFrom],
        namespace: &str,
    ) -> Result<Mounts, Diagnostic> {
        let mut found = Mounts::default();
        let mut secrets = Vec::new();
        let mut agents = Vec::new();
        for (index, mount) in run.mounts.iter().enumerate() {
            let from = froms.get(index).copied().unwrap_or_default();
            let resolved = mount.resolve(&inst.source, &mut |word| self.expand(inst, word))?;
            match resolved.kind {
                MountKind::Secret => {
                    let (file, env) = secret(inst, self.cwd(), &resolved)?;
                    secrets.extend(file);
                    found.secret_env.extend(env);
                }
                MountKind::Ssh => {
                    let number = agents.len();
                    agents.push(agent(inst, self.cwd(), &resolved, number)?);
                }
                _ => {
                    let mount = self.directory(inst, mount, &resolved, from, namespace)?;
                    found.mounts.push(mount);
                }
            }
        }
        // BuildKit sorts what has a source by target, so that a nested one comes later.
        found.mounts.sort_by(|a, b| a.target.cmp(&b.target));
        found.agent = agents.first().map(|agent: &RunMount| agent.target.clone());
        found.mounts.extend(secrets);
        found.mounts.extend(agents);
        Ok(found)
    }

    fn directory(
        &self,
        inst: &Instruction,
        written: &Mount,
        mount: &ResolvedMount,
        from: CopyFrom,
        namespace: &str,
    ) -> Result<RunMount, Diagnostic> {
        let target = match mount.target.as_str() {
            "" => self.cwd().to_owned(),
            target => join(self.cwd(), target),
        };
        let target = clean(&target);
        if target == "/" {
            let what = if mount.target.is_empty() {
                "the mount has no target"
            } else {
                "nothing can be mounted on `/`"
            };
            let refused = at(inst, written.span, what);
            return Err(refused.with_hint("name a directory with `target=`"));
        }
        let source = clean(&format!("/{}", mount.source));
        let from = (!mount.from.is_empty()).then_some(from);
        let source = match mount.kind {
            MountKind::Tmpfs => MountSource::Tmpfs { size: mount.size },
            MountKind::Cache => cache(mount, &target, source, from, namespace),
            _ => MountSource::Bind {
                from: from.unwrap_or_default(),
                source,
            },
        };
        Ok(RunMount {
            target,
            read_only: mount.readonly,
            source,
            span: written.span,
        })
    }
}

fn cache(
    mount: &ResolvedMount,
    target: &str,
    source: String,
    from: Option<CopyFrom>,
    namespace: &str,
) -> MountSource {
    let name = match mount.id.as_str() {
        "" => plain(&mount.target),
        id => id.to_owned(),
    };
    let id = format!("{namespace}/{name}");
    let sharing = mount.sharing.unwrap_or(Sharing::Shared);
    // What BuildKit counts of an ID: that it is the default one, and whose.
    let plain_id = sharing == Sharing::Shared
        && (id == target || id.split_once('/').is_some_and(|(_, rest)| rest == target));
    let owned = mount.uid.is_some() || mount.gid.is_some() || mount.mode.is_some();
    let owned = owned && source == "/";
    MountSource::Cache(CacheDir {
        counted: plain_id.then(|| id.clone()),
        id,
        sharing,
        owner: owned.then(|| FileOf {
            uid: mount.uid.unwrap_or(0),
            gid: mount.gid.unwrap_or(0),
            mode: mount.mode.unwrap_or(0o755) & 0o777 & !UMASK,
        }),
        // A directory with an owner of its own is a new one beside the files.
        from: from.filter(|from| !owned && *from != CopyFrom::Nothing),
        source,
    })
}

/// A path as Go cleans it: a relative one stays relative.
fn plain(path: &str) -> String {
    let absolute = clean(&format!("/{path}"));
    if path.starts_with('/') {
        absolute
    } else if absolute == "/" {
        ".".into()
    } else {
        absolute[1..].to_owned()
    }
}

/// The file and the variable of a secret.
fn secret(
    inst: &Instruction,
    cwd: &str,
    mount: &ResolvedMount,
) -> Result<(Option<RunMount>, Option<Secret>), Diagnostic> {
    let id = [&mount.source, &mount.id, &mount.target]
        .into_iter()
        .find(|text| !text.is_empty())
        .map(String::as_str)
        .unwrap_or_default();
    let id = if mount.source.is_empty() && mount.id.is_empty() {
        base(id)
    } else {
        id
    };
    let target = match (mount.target.as_str(), &mount.env) {
        ("", Some(_)) => None,
        ("", None) => Some(format!("/run/secrets/{}", base(id))),
        (target, _) => Some(clean(&join(cwd, target))),
    };
    let file = target.map(|target| RunMount {
        target,
        read_only: true,
        source: MountSource::Secret {
            secret: Secret {
                id: id.to_owned(),
                name: String::new(),
                required: mount.required,
                span: mount.span,
            },
            file: file(mount, 0o400),
        },
        span: mount.span,
    });
    if file.as_ref().is_some_and(|file| file.target == "/") {
        return Err(at(inst, mount.span, "a secret cannot be mounted on `/`"));
    }
    let env = match &mount.env {
        Some(name) if name.is_empty() => {
            let refused = at(inst, mount.span, "the variable of a secret has no name");
            return Err(refused.with_hint("name it: `env=NAME`"));
        }
        env => env.clone().map(|name| Secret {
            id: id.to_owned(),
            name,
            required: mount.required,
            span: mount.span,
        }),
    };
    Ok((file, env))
}

fn agent(
    inst: &Instruction,
    cwd: &str,
    mount: &ResolvedMount,
    number: usize,
) -> Result<RunMount, Diagnostic> {
    if !mount.source.is_empty() {
        let refused = at(inst, mount.span, "an ssh mount cannot have `source`");
        return Err(refused.with_hint("name the agent with `id=`"));
    }
    let target = match mount.target.as_str() {
        "" => format!("/run/buildkit/ssh_agent.{number}"),
        target => clean(&join(cwd, target)),
    };
    Ok(RunMount {
        target,
        read_only: false,
        source: MountSource::Agent {
            id: mount.id.clone(),
            required: mount.required,
            file: file(mount, 0o600),
        },
        span: mount.span,
    })
}

fn file(mount: &ResolvedMount, mode: u32) -> FileOf {
    FileOf {
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
        mode: mount.mode.unwrap_or(mode) & 0o777,
    }
}

/// The last part of a path, as Go has it.
fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None if path.is_empty() => ".",
        Some("") | None => "/",
        Some(last) => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, cleaned, last) in [
            ("/a/b/", "/a/b", "b"),
            ("a/../b", "b", "b"),
            ("./x", "x", "x"),
            ("/", "/", "/"),
            ("", ".", "."),
        ] {
            assert_eq!(plain(path), cleaned, "{path}");
            assert_eq!(base(path), last, "{path}");
        }
    }
}
