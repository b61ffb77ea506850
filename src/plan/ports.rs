//! `EXPOSE`: `[ip:][host:]port[-port][/protocol]`, of which only port and protocol count.

use std::net::IpAddr;

/// The `port/protocol` entries that one word stands for.
pub(super) fn exposed(word: &str) -> Result<Vec<String>, String> {
    let refused = |why: &str| Err(format!("`{word}` is not a port: {why}"));
    let (ip, host, container) = split(word);
    let (ports, protocol) = match container.split_once('/') {
        Some((ports, protocol)) => (ports, protocol),
        None => (container, ""),
    };
    if ports.is_empty() {
        return refused("the number is missing");
    }
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        _ => return refused("the protocol must be `tcp`, `udp` or `sctp`"),
    };
    let bare = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(&ip);
    if !ip.is_empty() && bare.parse::<IpAddr>().is_err() {
        return refused("the address before it is not an IP address");
    }
    let Some((first, last)) = range(ports) else {
        return refused("a port is a number from 0 to 65535, a range `first-last`");
    };
    if !host.is_empty() {
        match range(host) {
            Some((from, to)) if to - from == last - first || first == last => {}
            _ => return refused("the host's port before it does not fit"),
        }
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

fn split(word: &str) -> (String, &str, &str) {
    let parts: Vec<&str> = word.split(':').collect();
    match parts.as_slice() {
        [container] => (String::new(), "", container),
        [host, container] => (String::new(), host, container),
        [ip @ .., host, container] => (ip.join(":"), host, container),
        [] => (String::new(), "", ""),
    }
}

fn range(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|&n| n <= 65_535);
    match text.split_once('-') {
        None => number(text).map(|n| (n, n)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        for (word, ports) in [
            ("80", "80/tcp"),
            ("0", "0/tcp"),
            ("53/UDP", "53/udp"),
            ("7000-7002/sctp", "7000/sctp 7001/sctp 7002/sctp"),
            ("127.0.0.1:80:8080", "8080/tcp"),
            ("[::1]:80:8080", "8080/tcp"),
            ("80:8080", "8080/tcp"),
        ] {
            assert_eq!(exposed(word).unwrap().join(" "), ports, "{word}");
        }
        for word in [
            "",
            "x",
            "80/icmp",
            "65536",
            "9-8",
            "1.2.3:80:80",
            "1-2:1-3",
            "/tcp",
            "80-",
        ] {
            assert!(exposed(word).is_err(), "{word}");
        }
    }
}
