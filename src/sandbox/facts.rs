//! What is known, as plain data: bowline's own process, and what the engine answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Everything that the decision is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    pub own: Own,
    pub engine: Answers,
}

/// What the machine says of bowline's own process. Empty is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    /// `/proc/self/cgroup`
    pub cgroup: Vec<String>,
    /// The lines of `/proc/self/mountinfo` that concern the root, the files that an engine or a
    /// kubelet mounts into containers, and directories of a kubelet.
    pub mounts: Vec<String>,
    /// The host name now.
    pub hostname: String,
    /// The host name that `/etc/hostname` gives.
    pub hostname_file: String,
    /// Whether there is `/.dockerenv`.
    pub dockerenv: bool,
    /// `/run/.containerenv`, if it is there.
    pub containerenv: Option<String>,
    /// What `$container` or systemd calls the kind of container.
    pub container: Option<String>,
    /// Whether the variables of a Kubernetes service are there.
    pub kubernetes: bool,
    pub pod_name: Option<Said>,
    pub pod_namespace: Option<Said>,
    pub pod_uid: Option<Said>,
    /// The addresses of this network namespace, without those that reach nobody else.
    pub addresses: Vec<String>,
}

/// A word, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    pub value: String,
    /// `$POD_NAME` or a path.
    pub by: String,
}

impl Said {
    /// Where it stands, as part of a sentence.
    pub(super) fn place(&self) -> String {
        match self.by.chars().next() {
            Some('$' | '/') => format!("`{}`", self.by),
            _ => self.by.clone(),
        }
    }
}

/// What the engine answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// The containers that were asked for by id, each once.
    pub asked: Vec<Asked>,
    /// Containers that are sandboxes of pods like ours, running or not.
    pub sandboxes: Vec<Seen>,
}

/// A container that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub id: String,
    /// `None` when the engine does not know it.
    #[serde(default)]
    pub found: Option<Seen>,
}

/// A container as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seen {
    pub id: String,
    pub name: String,
    /// Those of Kubernetes and compose.
    pub labels: BTreeMap<String, String>,
    pub running: bool,
    pub status: String,
    pub network_mode: String,
    pub addresses: Vec<String>,
}

/// Names that people give to the variables of the downward API.
const POD_PREFIXES: [&str; 4] = ["POD_", "MY_POD_", "K8S_POD_", "KUBERNETES_POD_"];

/// Directories that people mount a downward volume on.
const POD_DIRECTORIES: [&str; 2] = ["/etc/podinfo", "/podinfo"];

const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Larger than any of the files is; the rest is not read.
const MAX_FILE: u64 = 4 << 20;

/// The machine as bowline's process sees it.
#[derive(Debug, Clone)]
pub struct World {
    root: PathBuf,
    variables: BTreeMap<String, String>,
    /// What was read already.
    known: Option<Own>,
}

impl World {
    /// This machine. `variable` gives the value of an environment variable.
    pub fn here(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::at("/", variable)
    }

    /// A machine whose root directory is `root`.
    pub fn at(root: impl Into<PathBuf>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let pod = POD_PREFIXES
            .iter()
            .flat_map(|prefix| ["NAME", "NAMESPACE", "UID"].map(|what| format!("{prefix}{what}")));
        let names = pod.chain(["container".into(), "KUBERNETES_SERVICE_HOST".into()]);
        let given = names.filter_map(|name| {
            let value = variable(&name)?;
            (!value.is_empty()).then_some((name, value))
        });
        Self {
            root: root.into(),
            variables: given.collect(),
            known: None,
        }
    }

    /// A machine of which this is known.
    pub fn known(own: Own) -> Self {
        Self {
            known: Some(own),
            ..Self::at("/", |_| None)
        }
    }

    /// Reads all there is. What cannot be read is unknown.
    pub fn own(&self) -> Own {
        if let Some(own) = &self.known {
            return own.clone();
        }
        let mounts = self.read("/proc/self/mountinfo").unwrap_or_default();
        Own {
            cgroup: lines(&self.read("/proc/self/cgroup").unwrap_or_default()),
            mounts: lines(&mounts)
                .into_iter()
                .filter(|line| tells(line))
                .collect(),
            hostname: self.line("/proc/sys/kernel/hostname"),
            hostname_file: self.line("/etc/hostname"),
            dockerenv: self.path("/.dockerenv").exists(),
            containerenv: self.read("/run/.containerenv"),
            container: self.variables.get("container").cloned().or_else(|| {
                Some(self.line("/run/systemd/container")).filter(|kind| !kind.is_empty())
            }),
            kubernetes: self.variables.contains_key("KUBERNETES_SERVICE_HOST"),
            pod_name: self.of_pod("NAME"),
            pod_namespace: self
                .of_pod("NAMESPACE")
                .or_else(|| self.file(NAMESPACE_FILE)),
            pod_uid: self.of_pod("UID"),
            addresses: self.addresses(),
        }
    }

    fn of_pod(&self, what: &str) -> Option<Said> {
        let variable = POD_PREFIXES.iter().find_map(|prefix| {
            let name = format!("{prefix}{what}");
            let value = self.variables.get(&name)?.clone();
            let by = format!("${name}");
            Some(Said { value, by })
        });
        let lower = what.to_lowercase();
        let names = [format!("pod_{lower}"), format!("pod{lower}"), lower];
        let mut files = POD_DIRECTORIES
            .iter()
            .flat_map(|dir| names.iter().map(move |name| format!("{dir}/{name}")));
        variable.or_else(|| files.find_map(|path| self.file(&path)))
    }

    fn file(&self, path: &str) -> Option<Said> {
        let value = self.line(path);
        let by = path.to_owned();
        (!value.is_empty()).then_some(Said { value, by })
    }

    fn addresses(&self) -> Vec<String> {
        let fourth = self.read("/proc/net/fib_trie").unwrap_or_default();
        let sixth = self.read("/proc/net/if_inet6").unwrap_or_default();
        let mut found = local_addresses(&fourth);
        found.extend(local_addresses_6(&sixth));
        found
    }

    fn line(&self, path: &str) -> String {
        let text = self.read(path).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    }

    fn read(&self, path: &str) -> Option<String> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let file = fs_err::File::open(self.path(path)).ok()?;
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path.trim_start_matches('/')))
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Whether a line of mountinfo can tell something.
fn tells(line: &str) -> bool {
    let mut fields = line.split(' ').skip(3);
    let (Some(root), Some(point)) = (fields.next(), fields.next()) else {
        return false;
    };
    const POINTS: [&str; 5] = [
        "/",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/dev/termination-log",
    ];
    POINTS.contains(&point) || root.contains("/pods/")
}

/// The addresses in `/proc/net/fib_trie` that are this namespace's own.
pub(super) fn local_addresses(trie: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last = "";
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address;
        } else if line == "/32 host LOCAL"
            && !last.starts_with("127.")
            && !found.iter().any(|known| known == last)
        {
            found.push(last.to_owned());
        }
    }
    found
}

/// The global addresses in `/proc/net/if_inet6`.
pub(super) fn local_addresses_6(table: &str) -> Vec<String> {
    let global = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        (fields.nth(2)? == "00").then(|| std::net::Ipv6Addr::from(address).to_string())
    });
    global.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespaces_own_addresses_are_found() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.2.0.0/24 2 0 2\n        |-- 10.2.0.0\n           /24 link UNICAST\n        |-- 10.2.0.7\n           /32 host LOCAL\nLocal:\n        |-- 10.2.0.7\n           /32 host LOCAL\n        |-- 10.2.0.255\n           /32 link BROADCAST\n        |-- 127.0.0.1\n           /32 host LOCAL\n";
        assert_eq!(local_addresses(trie), ["10.2.0.7"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfd00000000000000000000000000000a 02 40 00 80     eth0\nfe800000000000000042acfffe110002 02 40 20 80     eth0\n";
        assert_eq!(local_addresses_6(table), ["fd00::a"]);
    }

    #[test]
    fn a_world_is_read_from_its_root() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        put("proc/self/cgroup", "1:name=systemd:/docker/x\n0::/\n");
        put(
            "proc/self/mountinfo",
            "1 2 8:1 / / rw - overlay overlay rw\n3 1 0:5 / /proc rw - proc proc rw\n4 1 8:1 /containers/x/hosts /etc/hosts rw - ext4 /dev/sda rw\n",
        );
        put("proc/sys/kernel/hostname", "ci-1\n");
        put("etc/hostname", "first\nsecond\n");
        put(".dockerenv", "");
        put("etc/podinfo/uid", "u-1\n");
        put(&NAMESPACE_FILE[1..], "ci");
        let variables = [("MY_POD_NAME", "p"), ("POD_UID", ""), ("container", "oci")];
        let world = World::at(root.path(), |name| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        });
        let said = |value: &str, by: &str| {
            let (value, by) = (value.to_owned(), by.to_owned());
            Some(Said { value, by })
        };
        let own = Own {
            cgroup: vec!["1:name=systemd:/docker/x".into(), "0::/".into()],
            mounts: vec![
                "1 2 8:1 / / rw - overlay overlay rw".into(),
                "4 1 8:1 /containers/x/hosts /etc/hosts rw - ext4 /dev/sda rw".into(),
            ],
            hostname: "ci-1".into(),
            hostname_file: "first".into(),
            dockerenv: true,
            container: Some("oci".into()),
            pod_name: said("p", "$MY_POD_NAME"),
            pod_namespace: said("ci", NAMESPACE_FILE),
            pod_uid: said("u-1", "/etc/podinfo/uid"),
            ..Own::default()
        };
        assert_eq!(world.own(), own);
    }
}
