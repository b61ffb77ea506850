//! The mounts of a `RUN`: what the engine mounts below `/dev` for it, and what the program in
//! the container is told to make of that. See `src/init/wire/mount.rs` for why it is two steps.

mod files;
mod volumes;

pub(super) use files::{MountFiles, inputs};
pub(super) use volumes::Volumes;
pub use volumes::{CacheVolume, LABEL_CACHE, cache_volumes};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::builder::Builder;
use super::failure::{self, Failure};
use crate::diag::Diagnostic;
use crate::dockerfile::mount::Sharing;
use crate::engine::{self, Limits};
use crate::init::wire::{self, Confinement, STAGE};
use crate::plan::{CacheDir, MountSource, Run, RunMount, Secret, Step};
use crate::progress::Running;

/// The secrets of a build, by ID.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, Arc<Vec<u8>>>);

impl Secrets {
    pub fn new(values: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let shared = values.into_iter().map(|(id, value)| (id, Arc::new(value)));
        Self(shared.collect())
    }

    fn get(&self, id: &str) -> Option<&Arc<Vec<u8>>> {
        self.0.get(id)
    }
}

impl fmt::Debug for Secrets {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a step's container gets for its mounts.
#[derive(Default)]
pub(super) struct Mounting {
    /// What the program makes, in order.
    pub(super) mounts: Vec<wire::Mount>,
    /// What the engine mounts.
    pub(super) volumes: Vec<engine::Mount>,
    /// Variables that are secret.
    pub(super) env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The secrets that the step sees.
    pub(super) seen: BTreeMap<String, Arc<Vec<u8>>>,
}

/// The numbers of a step's volumes.
#[derive(Default)]
struct Numbers(Vec<String>);

impl Numbers {
    fn of(&mut self, volume: String) -> u32 {
        let known = self.0.iter().position(|name| *name == volume);
        let number = known.unwrap_or_else(|| {
            self.0.push(volume);
            self.0.len() - 1
        });
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn mounts(self) -> Vec<engine::Mount> {
        let mount = |(number, name)| engine::Mount::Volume {
            name,
            target: format!("{STAGE}/{number}"),
            read_only: false,
        };
        self.0.into_iter().enumerate().map(mount).collect()
    }
}

impl Builder {
    /// Makes ready what the mounts of a step show. `files` are those of [`Run::files`], in that
    /// order; with `fresh`, caches are emptied first.
    pub(super) async fn mounting(
        &self,
        step: &Step,
        run: &Run,
        files: Vec<MountFiles>,
        image: &str,
        fresh: bool,
        progress: &Running,
    ) -> Result<Mounting, Failure> {
        let engine_failed = |error| failure::engine(step, &error);
        let mut files = files.into_iter();
        let mut made: Vec<wire::Mount> = Vec::new();
        let mut numbers = Numbers::default();
        let mut seen = BTreeMap::new();
        for mount in &run.mounts {
            let source = match &mount.source {
                MountSource::Tmpfs { size } => Some(wire::Source::Tmpfs {
                    size: u64::try_from(*size).unwrap_or(0),
                }),
                MountSource::Secret { secret, file } => self.secret(step, secret)?.map(|value| {
                    seen.insert(secret.id.clone(), Arc::clone(&value));
                    wire::Source::Secret(wire::File {
                        path: Vec::new(),
                        content: value.as_ref().clone(),
                        mode: file.mode,
                        uid: file.uid,
                        gid: file.gid,
                    })
                }),
                MountSource::Bind { .. } => {
                    let files = files.next().expect("a bind mount has gathered its files");
                    let share = mount.read_only;
                    let volume = self
                        .bind_volume(step, files, image, share, progress)
                        .await?;
                    Some(wire::Source::Volume {
                        number: numbers.of(volume),
                    })
                }
                MountSource::Cache(cache) => {
                    let begins = cache.from.and_then(|_| files.next());
                    let digest = begins.as_ref().map(MountFiles::digest);
                    let name = volumes::cache_name(cache, digest);
                    let labels = volumes::cache_labels(cache);
                    let ensured = self.engine.ensure_volume(&name, &labels).await;
                    ensured.map_err(engine_failed)?;
                    let seed = match begins {
                        Some(files) => self.seed(step, files, image, &name, progress).await?,
                        None => String::new(),
                    };
                    let number = numbers.of(name);
                    Some(self.cache_source(cache, number, seed, fresh))
                }
                MountSource::Agent { required, id, .. } => {
                    if *required {
                        return Err(Arc::new(no_agent(step, mount, id)));
                    }
                    None
                }
            };
            let Some(source) = source else { continue };
            let wanted = wire::Mount {
                target: mount.target.clone().into_bytes(),
                read_only: mount.read_only,
                source,
            };
            // Of two on one target the later counts, in the place of the earlier.
            match made.iter_mut().find(|known| known.target == wanted.target) {
                Some(known) => *known = wanted,
                None => made.push(wanted),
            }
        }
        let mut env = Vec::new();
        for secret in &run.secret_env {
            let value = self.secret(step, secret)?;
            if let Some(value) = &value {
                seen.insert(secret.id.clone(), Arc::clone(value));
            }
            let value = value
                .map(|value| value.as_ref().clone())
                .unwrap_or_default();
            env.push((secret.name.clone().into_bytes(), value));
        }
        Ok(Mounting {
            mounts: made,
            volumes: numbers.mounts(),
            env,
            seen,
        })
    }

    fn cache_source(
        &self,
        cache: &CacheDir,
        number: u32,
        seed: String,
        fresh: bool,
    ) -> wire::Source {
        let (mode, uid, gid) = cache
            .owner
            .map_or((0o755, 0, 0), |owner| (owner.mode, owner.uid, owner.gid));
        let fresh = if fresh { self.ledger.build() } else { "" };
        wire::Source::Cache(wire::Cache {
            number,
            sharing: match cache.sharing {
                Sharing::Shared => wire::Sharing::Shared,
                Sharing::Private => wire::Sharing::Private,
                Sharing::Locked => wire::Sharing::Locked,
            },
            mode,
            uid,
            gid,
            seed: seed.into_bytes(),
            fresh: fresh.as_bytes().to_vec(),
        })
    }

    /// A secret's value; `None` when there is none and none is needed.
    fn secret(&self, step: &Step, secret: &Secret) -> Result<Option<Arc<Vec<u8>>>, Failure> {
        match self.settings.secrets.get(&secret.id) {
            Some(value) => Ok(Some(Arc::clone(value))),
            None if !secret.required => Ok(None),
            None => {
                let id = &secret.id;
                let missing = Diagnostic::error(format!("there is no secret `{id}`"));
                let missing = missing.with_label(&step.source, secret.span, "required here");
                Err(Arc::new(missing.with_hint(format!(
                    "give it with `--secret id={id},src=FILE` or `--secret id={id},env=VARIABLE`"
                ))))
            }
        }
    }
}

fn no_agent(step: &Step, mount: &RunMount, id: &str) -> Diagnostic {
    let id = if id.is_empty() { "default" } else { id };
    let missing = Diagnostic::error(format!("there is no ssh agent `{id}`"));
    let missing = missing.with_label(&step.source, mount.span, "required here");
    missing.with_hint(format!(
        "give it with `--ssh {id}`, or `--ssh {id}=SOCKET|KEY`"
    ))
}

/// What the container must be allowed so that the program can mount, and how the command is kept
/// from it.
pub(super) fn allow_mounting(limits: &mut Limits, apparmor: bool) -> (Confinement, String) {
    if limits.privileged {
        return (Confinement::None, String::new());
    }
    limits.capabilities.push("SYS_ADMIN".into());
    let said = |what: &str| {
        let mut options = limits.security_opt.iter();
        options.any(|option| option.split(['=', ':']).next() == Some(what))
    };
    let confinement = if said("seccomp") {
        Confinement::Capabilities
    } else {
        Confinement::SystemCalls
    };
    let mut profile = String::new();
    if apparmor && !said("apparmor") {
        limits.security_opt.push("apparmor=unconfined".into());
        profile = "docker-default".into();
    }
    (confinement, profile)
}
