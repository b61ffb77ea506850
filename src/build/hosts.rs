//! Extra hosts together with another container's network.
//!
//! The engine refuses `ExtraHosts` there, because it mounts that container's own `/etc/hosts`,
//! which must not change. So it is made to write a file with all the names for a container of
//! ours, which has no network and ends at once; steps get that file, read-only, in place of the
//! other. The path is one that the engine itself gave: this works wherever the engine runs.

use std::sync::Arc;

use tokio::io::AsyncReadExt as _;

use super::ledger::Ledger;
use super::{init_volume, probe};
use crate::engine::{Engine, EngineError, Mount, Result, TarStream};

/// The largest file of hosts that is read, in bytes.
const MAX_HOSTS: u64 = 1 << 20;

/// Makes the file, from any image; gives the mount of it.
pub(super) async fn mount(
    engine: &Arc<dyn Engine>,
    ledger: &Arc<Ledger>,
    image: &str,
    target: &str,
    extra: &[String],
) -> Result<Mount> {
    let known = match engine.read(target, "/etc/hosts").await {
        Ok(tar) => text(tar).await?,
        Err(EngineError::NotFound { .. }) => String::new(),
        Err(error) => return Err(error),
    };
    let mut spec = probe::spec(ledger, image);
    // Without a request to read it ends; the engine has written the file by then.
    spec.entrypoint = vec![init_volume::PROGRAM.to_owned()];
    spec.mounts = vec![init_volume::mount()];
    spec.extra_hosts = all_hosts(extra, &known);
    ledger.create(&spec).await?;
    engine.start(&spec.name).await?;
    let detail = engine.inspect(&spec.name).await?;
    let path = detail.map(|detail| detail.hosts_path).unwrap_or_default();
    if path.is_empty() {
        let reason = "it does not say where it keeps a container's file of hosts";
        return Err(EngineError::Unexpected(reason.into()));
    }
    let target = "/etc/hosts".into();
    Ok(Mount::EngineFile { path, target })
}

async fn text(tar: TarStream) -> Result<String> {
    let mut bytes = Vec::new();
    let broken =
        |error: std::io::Error| EngineError::Unexpected(format!("a file of hosts: {error}"));
    tar.take(MAX_HOSTS)
        .read_to_end(&mut bytes)
        .await
        .map_err(broken)?;
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut text = String::new();
    if let Some(entry) = archive.entries().map_err(broken)?.next() {
        let mut entry = entry.map_err(broken)?;
        std::io::Read::read_to_string(&mut entry, &mut text).map_err(broken)?;
    }
    Ok(text)
}

/// The extra names, and the others of the joined container. Those of every container come from
/// the engine.
fn all_hosts(extra: &[String], known: &str) -> Vec<String> {
    let mut hosts = extra.to_vec();
    let given = |name: &str| {
        extra
            .iter()
            .any(|host| host.split(':').next() == Some(name))
    };
    for line in known.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().filter(|address| !is_of_all(address)) else {
            continue;
        };
        let names = words.filter(|name| !given(name));
        hosts.extend(names.map(|name| format!("{name}:{address}")));
    }
    hosts
}

fn is_of_all(address: &str) -> bool {
    matches!(
        address,
        "127.0.0.1" | "::1" | "fe00::" | "fe00::0" | "ff00::" | "ff00::0" | "ff02::1" | "ff02::2"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_joined_container_stay_unless_given_anew() {
        let known = "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost\nff02::1 ip6-allnodes\n# by kubelet\n10.1.0.5\tbuild-7f9  build # own\n10.0.0.9 db\nfd00::5 build-7f9\n";
        let extra = ["db:10.9.9.9".to_owned(), "six:fd00::1".to_owned()];
        let want = [
            "db:10.9.9.9",
            "six:fd00::1",
            "build-7f9:10.1.0.5",
            "build:10.1.0.5",
            "build-7f9:fd00::5",
        ];
        assert_eq!(all_hosts(&extra, known), want);
    }
}
