//! A [`ContainerSpec`] as the body of a create request.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount as ApiMount,
    MountTmpfsOptions, MountType, ResourcesUlimits,
};

use crate::engine::{ContainerSpec, Mount, NetworkMode};

/// The body. What the image's config says of commands and health checks does not reach the
/// container; what it says of variables does.
pub(super) fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let named = |text: &String| (!text.is_empty()).then(|| text.clone());
    let own_hostname = !matches!(spec.network, NetworkMode::Container(_) | NetworkMode::Host);
    ContainerCreateBody {
        hostname: spec.hostname.clone().filter(|_| own_hostname),
        user: named(&spec.user),
        attach_stdin: Some(spec.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        open_stdin: Some(spec.stdin),
        stdin_once: Some(spec.stdin),
        // An empty list, where none at all would mean the image's.
        entrypoint: Some(spec.entrypoint.clone()),
        cmd: Some(spec.args.clone()),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }),
        image: Some(spec.image.clone()),
        working_dir: named(&spec.working_dir),
        labels: Some(spec.labels.clone().into_iter().collect()),
        host_config: Some(host_config(spec)),
        ..ContainerCreateBody::default()
    }
}

/// What engines make read-only by themselves; naming anything else takes that away.
const READ_ONLY_ANYWAY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The files of the container whose network is joined.
const NOT_OURS: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let limits = &spec.limits;
    let own_hosts = !matches!(spec.network, NetworkMode::Container(_));
    let filled = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let ulimits = limits
        .ulimits
        .iter()
        .map(|(name, soft, hard)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(*soft),
            hard: Some(*hard),
        });
    HostConfig {
        network_mode: Some(spec.network.as_api()),
        extra_hosts: filled(spec.extra_hosts.clone()).filter(|_| own_hosts),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        // What the container writes goes to us alone, never to the engine's disk.
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".into()),
            config: Some(HashMap::new()),
        }),
        auto_remove: Some(false),
        // Nothing stands between the engine and our command, whatever the engine's default is.
        init: Some(false),
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        cpu_shares: limits.cpu_shares,
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        shm_size: limits.shm_size,
        ulimits: (!limits.ulimits.is_empty()).then(|| ulimits.collect()),
        cgroup_parent: limits.cgroup_parent.clone(),
        security_opt: filled(limits.security_opt.clone()),
        privileged: Some(limits.privileged),
        cap_add: filled(limits.capabilities.clone()),
        readonly_paths: (!own_hosts).then(|| read_only_paths(limits.privileged)),
        ..HostConfig::default()
    }
}

/// The engine mounts the joined container's own files, and whoever writes to them changes that
/// container. This is the one thing in the API that makes them read-only.
fn read_only_paths(privileged: bool) -> Vec<String> {
    let anyway = READ_ONLY_ANYWAY.iter().filter(|_| !privileged);
    anyway.chain(&NOT_OURS).map(ToString::to_string).collect()
}

fn mount(mount: &Mount) -> ApiMount {
    match mount {
        Mount::EngineFile { path, target } => ApiMount {
            typ: Some(MountType::BIND),
            source: Some(path.clone()),
            target: Some(target.clone()),
            read_only: Some(true),
            ..ApiMount::default()
        },
        Mount::Volume {
            name,
            target,
            read_only,
        } => ApiMount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            ..ApiMount::default()
        },
        Mount::Tmpfs { target, size, mode } => ApiMount {
            typ: Some(MountType::TMPFS),
            target: Some(target.clone()),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: size.and_then(|size| i64::try_from(size).ok()),
                mode: mode.map(i64::from),
                ..MountTmpfsOptions::default()
            }),
            ..ApiMount::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::Limits;

    fn spec(network: NetworkMode) -> ContainerSpec {
        ContainerSpec {
            name: "n".into(),
            image: "i".into(),
            platform: None,
            entrypoint: vec!["/init".into()],
            args: Vec::new(),
            user: String::new(),
            working_dir: "/".into(),
            labels: BTreeMap::new(),
            network,
            hostname: Some("h".into()),
            extra_hosts: vec!["a:1.2.3.4".into()],
            mounts: Vec::new(),
            stdin: true,
            limits: Limits::default(),
        }
    }

    #[test]
    fn a_shared_network_brings_its_own_names() {
        for (network, hostname, hosts) in [
            (NetworkMode::Default, true, true),
            (NetworkMode::Named("n".into()), true, true),
            (NetworkMode::None, true, true),
            (NetworkMode::Host, false, true),
            (NetworkMode::Container("c".into()), false, false),
        ] {
            let body = body(&spec(network.clone()));
            let host = body.host_config.unwrap();
            assert_eq!(body.hostname.is_some(), hostname, "{network:?}");
            assert_eq!(host.extra_hosts.is_some(), hosts, "{network:?}");
            assert_eq!(host.network_mode, Some(network.as_api()));
            let kept = host.readonly_paths.unwrap_or_default();
            let keeps = |path: &str| kept.iter().any(|kept| kept == path);
            assert_eq!(keeps("/etc/hosts"), !hosts, "{network:?}");
            assert_eq!(keeps("/proc/sys"), !hosts, "{network:?}");
        }
    }

    #[test]
    fn says_what_must_not_come_from_the_image() {
        let body = serde_json::to_value(body(&spec(NetworkMode::Default))).unwrap();
        assert_eq!(body["Entrypoint"], serde_json::json!(["/init"]));
        assert_eq!(body["Cmd"], serde_json::json!([]));
        assert_eq!(body["Healthcheck"]["Test"], serde_json::json!(["NONE"]));
        assert_eq!(body["HostConfig"]["LogConfig"]["Type"], "none");
        assert!(body.get("Env").is_none() && body.get("ExposedPorts").is_none());
        assert!(body.get("User").is_none(), "{body}");
    }
}
