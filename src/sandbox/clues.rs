//! What bowline's own process gives away: ids of containers, and a pod.

use super::facts::{Own, Said};

/// What [`Own`] says when it is read with knowledge of engines and kubelets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clues {
    /// Why this is a container; `None` when nothing says so.
    pub(super) inside: Option<String>,
    /// Ids of the own container, or of the one whose network it has.
    pub(super) ids: Vec<IdClue>,
    /// Containers around the own one, outermost first.
    pub(super) outer: Vec<String>,
    pub(super) pod: Option<PodClue>,
}

/// An id, and what gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdClue {
    pub(super) id: String,
    /// What gives it, each once.
    pub(super) by: Vec<Source>,
    pub(super) trust: Trust,
    /// The engine that makes such ids, when it is not one that speaks our API.
    pub(super) foreign: Option<&'static str>,
}

/// Where an id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Cgroup,
    /// A file of the engine's that is mounted here.
    Mount(String),
    Containerenv,
    Hostname,
    HostnameFile,
}

/// Who made a clue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The engine or the kubelet itself, with this container.
    Made,
    /// Anybody: a host name, a variable.
    Given,
}

/// The pod that this is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodClue {
    pub(super) uid: Option<Said>,
    pub(super) name: Option<Said>,
    pub(super) namespace: Option<Said>,
    /// Of the uid, when there is one.
    pub(super) trust: Trust,
}

impl PodClue {
    /// The labels that its containers have; empty when too little is known.
    pub(super) fn labels(&self) -> Vec<(&'static str, &str)> {
        match (&self.uid, &self.name, &self.namespace) {
            (Some(uid), _, _) => vec![("io.kubernetes.pod.uid", &uid.value)],
            (None, Some(name), Some(namespace)) => vec![
                ("io.kubernetes.pod.name", &name.value),
                ("io.kubernetes.pod.namespace", &namespace.value),
            ],
            _ => Vec::new(),
        }
    }

    /// What it is known by, such as "the pod uid in `$POD_UID`".
    pub(super) fn by(&self) -> String {
        match (&self.uid, &self.name, &self.namespace) {
            (Some(uid), _, _) => format!("the pod's uid in {}", uid.place()),
            (None, Some(name), Some(namespace)) => format!(
                "the pod's name in {} and namespace in {}",
                name.place(),
                namespace.place()
            ),
            _ => String::new(),
        }
    }
}

/// Reads the clues.
pub(super) fn clues(own: &Own) -> Clues {
    let mut clues = Clues::default();
    let mut uids: Vec<Said> = Vec::new();
    for line in &own.cgroup {
        read_cgroup(line, &mut clues, &mut uids);
    }
    for line in &own.mounts {
        read_mount(line, &mut clues, &mut uids);
    }
    if let Some(id) = own.containerenv.as_deref().and_then(containerenv_id) {
        clues.add(id, Source::Containerenv, Trust::Made, None);
    }
    for (name, by) in [
        (&own.hostname, Source::Hostname),
        (&own.hostname_file, Source::HostnameFile),
    ] {
        if is_hex(name, &[12, 64])
            && !clues
                .ids
                .iter()
                .any(|clue| clue.id.starts_with(name.as_str()))
        {
            clues.add(name, by, Trust::Given, None);
        }
    }
    clues.pod = pod(own, &uids);
    clues.inside = inside(own, &clues);
    clues
}

impl IdClue {
    /// What gives it, as part of a sentence.
    pub(super) fn by(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let mounts: Vec<String> = self
            .by
            .iter()
            .filter_map(|source| match source {
                Source::Mount(point) => Some(format!("`{point}`")),
                _ => None,
            })
            .collect();
        for source in &self.by {
            words.push(match source {
                Source::Cgroup => "`/proc/self/cgroup`".into(),
                Source::Containerenv => "`/run/.containerenv`".into(),
                Source::Hostname => "the host name".into(),
                Source::HostnameFile => "`/etc/hostname`".into(),
                Source::Mount(_) if mounts.len() == 1 => format!("the mount of {}", mounts[0]),
                Source::Mount(_) => format!("the mounts of {}", and(&mounts)),
            });
        }
        words.dedup();
        and(&words)
    }

    /// "X names" or "X and Y name".
    pub(super) fn names(&self) -> String {
        let verb = if self.by.len() == 1 { "names" } else { "name" };
        format!("{} {verb}", self.by())
    }
}

/// `a, b and c`
pub(super) fn and(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

impl Clues {
    fn add(&mut self, id: &str, by: Source, trust: Trust, foreign: Option<&'static str>) {
        match self.ids.iter_mut().find(|clue| clue.id == id) {
            Some(known) if known.by.contains(&by) => {}
            Some(known) => known.by.push(by),
            None => self.ids.push(IdClue {
                id: id.into(),
                by: vec![by],
                trust,
                foreign,
            }),
        }
    }
}

/// `5:memory:/docker/ID`: the last id in the path is the own container's.
fn read_cgroup(line: &str, clues: &mut Clues, uids: &mut Vec<Said>) {
    let Some(path) = line.splitn(3, ':').nth(2) else {
        return;
    };
    let mut found: Vec<(&str, Option<&'static str>)> = Vec::new();
    let mut pod = None;
    for part in path.split('/') {
        found.extend(cgroup_id(part));
        pod = cgroup_pod(part).or(pod);
    }
    if let Some(value) = pod
        && !uids.iter().any(|known| known.value == value)
    {
        let by = "/proc/self/cgroup".to_owned();
        uids.push(Said { value, by });
    }
    let Some(((id, foreign), outer)) = found.split_last() else {
        return;
    };
    clues.add(id, Source::Cgroup, Trust::Made, *foreign);
    for (id, _) in outer {
        if !clues.outer.iter().any(|known| known == id) {
            clues.outer.push((*id).to_owned());
        }
    }
}

/// The id in one part of a cgroup's path: plain, `docker-ID.scope`, `libpod-ID`, or
/// `SLICE:cri-containerd:ID`.
fn cgroup_id(part: &str) -> Option<(&str, Option<&'static str>)> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let (kind, id) = part
        .rsplit_once(':')
        .or_else(|| part.rsplit_once('-'))
        .unwrap_or(("", part));
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    let foreign = match kind {
        "cri-containerd" | "nerdctl" => Some("containerd"),
        "crio" => Some("CRI-O"),
        _ => None,
    };
    // Old engines and some launchers cut ids short; then only their own prefix makes it one.
    let cut = matches!(kind, "docker" | "libpod") && id.len() >= 12;
    (is_hex(id, &[64]) || cut && is_hex(id, &[id.len()])).then_some((id, foreign))
}

/// The pod's uid in `podUID` or `kubepods-burstable-podUID.slice`.
fn cgroup_pod(part: &str) -> Option<String> {
    let part = part.split(':').next().unwrap_or(part);
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let after = match part.strip_prefix("pod") {
        Some(after) => after,
        None if part.starts_with("kubepods") => part.rsplit_once("-pod")?.1,
        None => return None,
    };
    is_uid(after).then(|| after.replace('_', "-"))
}

/// A uid of the API server, or the hash that stands for one in a static pod.
fn is_uid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let others = text.bytes().filter(|byte| !byte.is_ascii_hexdigit());
    digits == 32 && others.clone().all(|byte| matches!(byte, b'-' | b'_')) && others.count() <= 4
}

/// A line of mountinfo: the engine mounts three files of the container whose network it is, and
/// a kubelet mounts what belongs to the pod.
fn read_mount(line: &str, clues: &mut Clues, uids: &mut Vec<Said>) {
    let mut fields = line.split(' ').skip(3);
    let (Some(root), Some(point)) = (fields.next(), fields.next()) else {
        return;
    };
    let parts: Vec<&str> = root.split('/').collect();
    if let Some(at) = parts.iter().position(|part| *part == "pods")
        && let [uid, what, ..] = &parts[at + 1..]
        && is_uid(uid)
        && ["etc-hosts", "containers", "volumes", "volume-subpaths"].contains(what)
        && !uids.iter().any(|known| known.value == *uid)
    {
        let (value, by) = ((*uid).to_owned(), format!("the mount of `{point}`"));
        uids.push(Said { value, by });
    }
    if !matches!(point, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf") {
        return;
    }
    let is_id = |at: &usize| is_hex(parts[*at], &[64]) && parts[at.saturating_sub(1)] != "volumes";
    if let Some(at) = (1..parts.len()).rev().find(is_id) {
        let of_cri = parts
            .iter()
            .any(|part| part.starts_with("io.containerd.grpc"));
        let foreign = of_cri.then_some("containerd");
        clues.add(
            parts[at],
            Source::Mount(point.to_owned()),
            Trust::Made,
            foreign,
        );
    }
}

fn containerenv_id(text: &str) -> Option<&str> {
    let mut lines = text.lines();
    let id = lines
        .find_map(|line| line.strip_prefix("id="))?
        .trim_matches('"');
    is_hex(id, &[64]).then_some(id)
}

fn pod(own: &Own, uids: &[Said]) -> Option<PodClue> {
    let made = uids.first().cloned();
    let trust = if made.is_some() {
        Trust::Made
    } else {
        Trust::Given
    };
    let in_cluster = own.kubernetes || own.pod_namespace.is_some() || made.is_some();
    let from_hostname = || {
        let (value, by) = (own.hostname.clone(), "the host name".to_owned());
        (in_cluster && !own.hostname.is_empty()).then_some(Said { value, by })
    };
    let clue = PodClue {
        uid: made.or_else(|| own.pod_uid.clone()),
        name: own.pod_name.clone().or_else(from_hostname),
        namespace: own.pod_namespace.clone(),
        trust,
    };
    (!clue.labels().is_empty()).then_some(clue)
}

fn inside(own: &Own, clues: &Clues) -> Option<String> {
    let made = clues.ids.iter().find(|clue| clue.trust == Trust::Made);
    if let Some(clue) = made {
        return Some(format!(
            "{} the container `{}`",
            clue.names(),
            super::short(&clue.id)
        ));
    }
    if own.dockerenv {
        return Some("there is `/.dockerenv`".into());
    }
    if own.containerenv.is_some() {
        return Some("there is `/run/.containerenv`".into());
    }
    if let Some(pod) = clues.pod.as_ref().filter(|pod| pod.trust == Trust::Made) {
        return Some(format!("{} is there", pod.by()));
    }
    if let Some(kind) = &own.container {
        return Some(format!("the kind of container is said to be `{kind}`"));
    }
    let lxc = own
        .cgroup
        .iter()
        .any(|line| line.contains(":/lxc/") || line.contains(":/lxc.payload"));
    if lxc {
        return Some("`/proc/self/cgroup` is LXC's".into());
    }
    own.kubernetes
        .then(|| "the variables of a Kubernetes cluster are set".to_owned())
}

/// Whether `text` is lower-case hexadecimal of one of these lengths.
fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e8a7b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f";

    #[test]
    fn ids_in_cgroups() {
        for (part, want) in [
            (ID.to_owned(), Some((ID, None))),
            (format!("docker-{ID}.scope"), Some((ID, None))),
            (format!("libpod-{ID}"), Some((ID, None))),
            (
                format!("cri-containerd-{ID}.scope"),
                Some((ID, Some("containerd"))),
            ),
            (
                format!("kubepods-pod1.slice:cri-containerd:{ID}"),
                Some((ID, Some("containerd"))),
            ),
            (format!("crio-{ID}.scope"), Some((ID, Some("CRI-O")))),
            (
                "docker-3f4e8a7b2c1d.scope".to_owned(),
                Some(("3f4e8a7b2c1d", None)),
            ),
            ("session-12.scope".to_owned(), None),
            ("docker".to_owned(), None),
            ("3f4e8a7b2c1d".to_owned(), None),
            (ID.to_uppercase(), None),
        ] {
            assert_eq!(cgroup_id(&part), want, "{part}");
        }
    }

    #[test]
    fn pods_in_cgroups() {
        let uid = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
        for (part, want) in [
            (format!("pod{uid}"), Some(uid)),
            (
                format!("kubepods-besteffort-pod{}.slice", uid.replace('-', "_")),
                Some(uid),
            ),
            (
                format!(
                    "kubepods-pod{}.slice:cri-containerd:{ID}",
                    uid.replace('-', "_")
                ),
                Some(uid),
            ),
            (
                "pod0123456789abcdef0123456789abcdef".into(),
                Some("0123456789abcdef0123456789abcdef"),
            ),
            ("podman".into(), None),
            ("pods".into(), None),
        ] {
            assert_eq!(cgroup_pod(&part).as_deref(), want, "{part}");
        }
    }
}
