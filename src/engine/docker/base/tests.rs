use serde_json::json;

use super::*;

fn line(created_by: &str, created: i64, size: i64) -> Line {
    Line {
        created,
        created_by: created_by.into(),
        comment: "c".into(),
        size,
    }
}

#[test]
fn restores_a_config_without_the_noise_of_old_engines() {
    let id = |n: u8| format!("sha256:{}", format!("{n:02x}").repeat(32));
    let found: ImageInspect = serde_json::from_value(json!({
        "Id": id(1),
        "Created": "2026-11-24T14:42:16.591959629Z",
        "Author": "me",
        "Architecture": "arm", "Variant": "v7", "Os": "linux",
        "Config": {
            "Hostname": "noise", "Domainname": "", "AttachStdin": false, "Image": "noise",
            "User": "1:2",
            "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
            "Env": ["PATH=/bin", "A=b"],
            "Cmd": ["sh"], "Entrypoint": ["/e"],
            "Volumes": { "/data": {} },
            "WorkingDir": "/w", "OnBuild": ["RUN x"],
            "Labels": { "l": "v" },
            "StopSignal": "SIGINT", "ArgsEscaped": true, "Shell": ["/bin/bash", "-c"],
            "Healthcheck": {
                "Test": ["CMD", "true"], "Interval": 1, "Timeout": 2,
                "StartPeriod": 3, "StartInterval": 4, "Retries": 5,
            },
        },
        "RootFS": { "Type": "layers", "Layers": [id(2), id(3)] },
    }))
    .unwrap();
    let lines = [
        line("ADD a /", 1_795_531_000, 5),
        line("ENV A=b", 1_795_531_001, 0),
        line("RUN x", 1_795_531_336, 0),
    ];
    let config = serde_json::to_value(restore(found, &lines)).unwrap();
    let expected = json!({
        "architecture": "arm", "variant": "v7", "os": "linux", "author": "me",
        "created": "2026-11-24T14:42:16.591959629Z",
        "config": {
            "User": "1:2",
            "ExposedPorts": { "53/udp": {}, "80/tcp": {} },
            "Env": ["PATH=/bin", "A=b"],
            "Entrypoint": ["/e"], "Cmd": ["sh"],
            "Volumes": { "/data": {} },
            "WorkingDir": "/w",
            "Labels": { "l": "v" },
            "StopSignal": "SIGINT", "ArgsEscaped": true,
            "OnBuild": ["RUN x"],
            "Healthcheck": {
                "Test": ["CMD", "true"], "Interval": 1, "Timeout": 2,
                "StartPeriod": 3, "StartInterval": 4, "Retries": 5,
            },
            "Shell": ["/bin/bash", "-c"],
        },
        "rootfs": { "type": "layers", "diff_ids": [id(2), id(3)] },
        "history": [
            { "created": "2026-11-24T14:36:40Z", "created_by": "ADD a /", "comment": "c" },
            { "created": "2026-11-24T14:36:41Z", "created_by": "ENV A=b", "comment": "c",
              "empty_layer": true },
            { "created": "2026-11-24T14:42:16.591959629Z", "created_by": "RUN x", "comment": "c" },
        ],
    });
    assert_eq!(config, expected);
}

#[test]
fn keeps_known_layers() {
    let digest = |n: u8| Digest::sha256(&[n]);
    let layer = |n: u8, size: Option<u64>| Layer {
        diff_id: digest(n),
        blob: size.map(|size| Descriptor {
            media_type: "m".into(),
            digest: digest(n),
            size,
        }),
    };
    let known = [layer(1, Some(1)), layer(2, Some(2))];
    let same = plain(&[digest(1), digest(2), digest(3)], &known);
    assert_eq!(same, [layer(1, Some(1)), layer(2, Some(2)), layer(3, None)]);
    assert_eq!(plain(&[digest(9)], &known), [layer(9, None)]);
}
