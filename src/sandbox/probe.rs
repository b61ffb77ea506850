//! A container that joins a network and shows what is there.
//!
//! Its image holds nothing but our own program, made for the occasion and removed again.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::facts::{local_addresses, local_addresses_6};
use crate::engine::{
    ContainerSpec, Engine, EngineError, Limits, LoadRequest, NetworkMode, NewLayer, Result, Stream,
};
use crate::image::{ImageConfig, Layer, RootFs};
use crate::init;

/// What was found in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub hostname: String,
    pub interfaces: Vec<String>,
    pub addresses: Vec<String>,
    /// `default via 10.0.0.1 dev eth0`
    pub routes: Vec<String>,
    pub resolv_conf: Vec<String>,
    pub hosts: Vec<String>,
    /// Each URL, and how it answered.
    pub urls: Vec<(String, String)>,
}

/// Joins `network` with a container called `name`, with these labels, and looks around.
/// The caller sees to it that the name is in a ledger: it may be left when this is dropped.
///
/// # Errors
/// When the engine fails, or cannot start the container there.
pub async fn probe(
    engine: &dyn Engine,
    network: NetworkMode,
    name: &str,
    labels: BTreeMap<String, String>,
    urls: &[String],
) -> Result<Probe> {
    let tag = format!("bowline/probe:{name}");
    load(engine, &tag).await?;
    let spec = ContainerSpec {
        name: name.to_owned(),
        image: tag.clone(),
        platform: None,
        entrypoint: vec!["/init".into(), "probe".into()],
        args: urls.to_vec(),
        user: "65534:65534".into(),
        working_dir: "/".into(),
        labels,
        network,
        hostname: None,
        extra_hosts: Vec::new(),
        mounts: Vec::new(),
        stdin: false,
        limits: Limits::default(),
    };
    let shown = run(engine, &spec).await;
    // Both go away whatever came of it; what cannot be removed is less than what failed.
    let removed = engine.remove(name).await;
    let untagged = engine.remove_image(&tag, true).await;
    let text = shown?;
    removed.and(untagged)?;
    Ok(read(&text, urls))
}

async fn run(engine: &dyn Engine, spec: &ContainerSpec) -> Result<String> {
    engine.create(spec).await?;
    let mut attached = engine.attach(&spec.name).await?;
    engine.start(&spec.name).await?;
    let mut said = Vec::new();
    let mut complained = Vec::new();
    while let Some(piece) = attached.output.next().await {
        match piece? {
            (Stream::Stdout, bytes) => said.extend_from_slice(&bytes),
            (Stream::Stderr, bytes) => complained.extend_from_slice(&bytes),
        }
    }
    let status = engine.wait(&spec.name).await?;
    if status != 0 {
        let reason = String::from_utf8_lossy(&complained);
        let reason = format!("the probe ended with {status}: {}", reason.trim());
        return Err(EngineError::Unexpected(reason));
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// An image of the program alone.
async fn load(engine: &dyn Engine, tag: &str) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o555);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(init::PROGRAM.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    let layer: Bytes = builder
        .append_data(&mut header, "init", init::PROGRAM)
        .and_then(|()| builder.into_inner())
        .expect("a tar in memory cannot fail")
        .into();
    let platform = engine.info().platform.clone();
    let request = LoadRequest {
        take_names: true,
        below: Vec::new(),
        new_layer: Some(NewLayer {
            size: layer.len() as u64,
            content: futures::stream::once(async move { Ok(layer) }).boxed(),
        }),
        config: Box::new(move |layers: &[Layer]| ImageConfig {
            rootfs: RootFs {
                diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
                ..RootFs::default()
            },
            ..ImageConfig::scratch(&platform)
        }),
        tags: vec![tag.to_owned()],
    };
    engine.load(request).await.map(drop)
}

/// Reads the sections that the program wrote.
fn read(text: &str, urls: &[String]) -> Probe {
    let section = |name: &str| -> &str {
        let head = format!("== {name}\n");
        let Some(at) = text.find(&head) else {
            return "";
        };
        let rest = &text[at + head.len()..];
        rest.find("\n== ").map_or(rest, |end| &rest[..end])
    };
    let words = |name: &str| -> Vec<String> {
        let lines = section(name).lines().map(str::trim);
        let telling = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        telling.map(str::to_owned).collect()
    };
    let interfaces = section("/proc/net/dev")
        .lines()
        .filter_map(|line| line.split_once(':'));
    let mut addresses = local_addresses(section("/proc/net/fib_trie"));
    addresses.extend(local_addresses_6(section("/proc/net/if_inet6")));
    let mut routes = routes_4(section("/proc/net/route"));
    routes.extend(routes_6(section("/proc/net/ipv6_route")));
    let answers = urls
        .iter()
        .map(|url| (url.clone(), section(url).trim().to_owned()));
    Probe {
        hostname: section("/proc/sys/kernel/hostname").trim().to_owned(),
        interfaces: interfaces.map(|(name, _)| name.trim().to_owned()).collect(),
        addresses,
        routes,
        resolv_conf: words("/etc/resolv.conf"),
        hosts: words("/etc/hosts"),
        urls: answers.collect(),
    }
}

/// `/proc/net/route`: addresses are hexadecimal in the byte order of the machine.
fn routes_4(table: &str) -> Vec<String> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let address = |number: u32| std::net::Ipv4Addr::from(number.to_ne_bytes());
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [device, to, via, _, _, _, _, mask, ..] = fields.as_slice() else {
            return None;
        };
        let (to, via, mask) = (number(to)?, number(via)?, number(mask)?);
        let to = match mask.count_ones() {
            0 => "default".to_owned(),
            length => format!("{}/{length}", address(to)),
        };
        let via = if via == 0 {
            String::new()
        } else {
            format!(" via {}", address(via))
        };
        Some(format!("{to}{via} dev {device}"))
    });
    routes.collect()
}

/// `/proc/net/ipv6_route`, as far as it leads elsewhere.
fn routes_6(table: &str) -> Vec<String> {
    let number = |text: &str| u128::from_str_radix(text, 16).ok();
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [to, length, _, _, via, .., device] = fields.as_slice() else {
            return None;
        };
        let (to, via) = (number(to)?, number(via)?);
        let length = u8::from_str_radix(length, 16).ok()?;
        if *device == "lo" || via == 0 {
            return None;
        }
        let to = match length {
            0 => "default".to_owned(),
            length => format!("{}/{length}", std::net::Ipv6Addr::from(to)),
        };
        Some(format!(
            "{to} via {} dev {device}",
            std::net::Ipv6Addr::from(via)
        ))
    });
    routes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_become_a_probe() {
        let text = "== /proc/sys/kernel/hostname\nci-1\n\n== /proc/net/dev\nInter-| Receive\n face |bytes\n    lo: 0 0\n  eth0: 1 2\n\n== /proc/net/fib_trie\n   |-- 10.1.0.5\n      /32 host LOCAL\n\n== /proc/net/if_inet6\n\n== /proc/net/route\nIface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\neth0\t00000000\t0100010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\n== /proc/net/ipv6_route\n00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n\n== /etc/resolv.conf\n# by kubelet\nnameserver 10.96.0.10\nsearch ci.svc.cluster.local\n\n== /etc/hosts\n127.0.0.1\tlocalhost\n\n== http://x/\nfailed after 3 ms: cannot resolve `x`\n";
        let url = "http://x/".to_owned();
        let want = Probe {
            hostname: "ci-1".into(),
            interfaces: vec!["lo".into(), "eth0".into()],
            addresses: vec!["10.1.0.5".into()],
            routes: vec![
                "default via 10.1.0.1 dev eth0".into(),
                "10.1.0.0/16 dev eth0".into(),
                "default via fd00::1 dev eth0".into(),
            ],
            resolv_conf: vec![
                "nameserver 10.96.0.10".into(),
                "search ci.svc.cluster.local".into(),
            ],
            hosts: vec!["127.0.0.1\tlocalhost".into()],
            urls: vec![(url.clone(), "failed after 3 ms: cannot resolve `x`".into())],
        };
        assert_eq!(read(text, &[url]), want);
    }
}
