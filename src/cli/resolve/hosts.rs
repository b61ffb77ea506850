//! `--add-host`.

use std::net::IpAddr;

use super::Result;
use crate::diag::Diagnostic;
use crate::request::ExtraHost;

/// `HOST:IP` or `HOST=IP`, several with commas; a host may have several addresses.
pub(super) fn hosts(values: &[String]) -> Result<Vec<ExtraHost>> {
    let mut hosts: Vec<ExtraHost> = Vec::new();
    for value in values {
        let mut name = None;
        for item in value.split(',') {
            let (host, address) = split(item, name);
            let valid = address == "host-gateway" || address.parse::<IpAddr>().is_ok();
            if host.is_empty() || !valid {
                let error = Diagnostic::error(format!("invalid `--add-host {value}`"));
                return Err(error.with_hint("a host is given as `NAME:IP` or `NAME:host-gateway`"));
            }
            name = Some(host);
            hosts.push(ExtraHost {
                name: host.to_owned(),
                address: address.to_owned(),
            });
        }
    }
    Ok(hosts)
}

/// An address alone belongs to the host before it.
fn split<'a>(item: &'a str, before: Option<&'a str>) -> (&'a str, &'a str) {
    let bare = |address: &'a str| {
        let inner = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
        inner.unwrap_or(address)
    };
    if let Some(name) = before
        && bare(item).parse::<IpAddr>().is_ok()
    {
        return (name, bare(item));
    }
    let (name, address) = item
        .split_once('=')
        .or_else(|| item.split_once(':'))
        .unwrap_or((item, ""));
    (name, bare(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        for (value, expected) in [
            ("a:1.2.3.4", Some("a:1.2.3.4")),
            ("a=1.2.3.4", Some("a:1.2.3.4")),
            ("a:::1", Some("a:::1")),
            ("a=[::1]", Some("a:::1")),
            ("a:host-gateway", Some("a:host-gateway")),
            ("a:1.2.3.4,b:5.6.7.8", Some("a:1.2.3.4 b:5.6.7.8")),
            ("a=1.2.3.4,::1", Some("a:1.2.3.4 a:::1")),
            ("a", None),
            (":1.2.3.4", None),
            ("a:b", None),
            ("1.2.3.4", None),
            ("", None),
        ] {
            let text = hosts(&[value.to_owned()]).ok().map(|hosts| {
                let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
                hosts.join(" ")
            });
            assert_eq!(text.as_deref(), expected, "{value}");
        }
    }
}
