//! `--allow`

use super::Result;
use crate::diag::{Diagnostic, suggest};
use crate::request::Allow;

const ENTITLEMENTS: [&str; 3] = ["network.host", "security.insecure", "device"];

pub(super) fn allow(values: &[String]) -> Result<Allow> {
    let mut allow = Allow::default();
    for text in values {
        match text.split_once('=') {
            // The network of RUN steps needs no permission here.
            None if text == "network.host" => {}
            None if text == "security.insecure" => allow.insecure = true,
            None if text == "device" => allow.all_devices = true,
            Some(("device", device)) if !device.is_empty() => {
                let name = device.split(',').next().unwrap_or(device);
                allow.devices.push(name.to_owned());
            }
            // What a remote builder may read of the client; there is none here.
            Some((kind, _)) if kind.starts_with("fs") => {}
            _ => {
                let unknown = Diagnostic::error(format!("unknown `--allow {text}`"));
                return Err(match suggest(text, ENTITLEMENTS) {
                    Some(near) => unknown.with_hint(format!("did you mean `{near}`?")),
                    None => unknown.with_hint(format!("there are `{}`", ENTITLEMENTS.join("`, `"))),
                });
            }
        }
    }
    Ok(allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entitlements_are_read() {
        let given = [
            "network.host",
            "security.insecure",
            "device=a.com/b=c",
            "fs=/x",
        ];
        let allow = allow(&given.map(str::to_owned)).unwrap();
        assert!(allow.insecure && !allow.all_devices);
        assert_eq!(allow.devices, ["a.com/b=c"]);
        let wrong = super::allow(&["security.insecur".to_owned()]).unwrap_err();
        assert_eq!(wrong.hints, ["did you mean `security.insecure`?"]);
    }
}
