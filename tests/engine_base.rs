//! What an engine tells of itself and of its images.

use bowline::engine::{Engine as _, EngineError, ImageStore};
use bowline::image::{EMPTY_LAYER_DIFF_ID, Empty, Healthcheck, History, Platform};

use crate::support::engine::{BUSYBOX, busybox, engine, load, tar, unique};

#[tokio::test]
async fn says_who_it_is() {
    let engine = engine().await;
    let info = engine.info();
    assert!(!info.version.is_empty() && !info.id.is_empty(), "{info:?}");
    assert!(info.api_version.starts_with("1."), "{info:?}");
    assert_eq!(info.platform.os, "linux");
}

#[tokio::test]
async fn looks_images_up() {
    let engine = engine().await;
    let busybox = engine
        .image(BUSYBOX)
        .await
        .unwrap()
        .expect("busybox:latest is not there");
    assert_eq!(busybox.platform, engine.info().platform);
    assert!(
        busybox.repo_tags.contains(&BUSYBOX.to_owned()),
        "{busybox:?}"
    );
    assert_eq!(busybox.diff_ids.len(), 1);
    let by_id = engine.image(&busybox.id).await.unwrap().unwrap();
    assert_eq!(by_id.id, busybox.id);
    for missing in ["bowline-no-such-image", "bowline/no:such", "odd name?", ""] {
        assert!(engine.image(missing).await.unwrap().is_none(), "{missing}");
    }
}

#[tokio::test]
async fn reads_a_base_image() {
    let engine = engine().await;
    let platform = engine.info().platform.clone();
    let base = engine.base_image(BUSYBOX, &platform).await.unwrap();
    let found = engine.image(BUSYBOX).await.unwrap().unwrap();
    assert_eq!(base.id, found.id);
    assert_eq!(base.config.platform(), platform);
    assert_eq!(base.config.config.cmd, ["sh"]);
    assert_eq!(base.config.rootfs.diff_ids, found.diff_ids);
    assert_eq!(base.layers.len(), 1);
    let has_blob = engine.info().store == ImageStore::Containerd;
    assert!(
        base.layers
            .iter()
            .all(|layer| layer.blob.is_some() == has_blob),
        "{:?}",
        base.layers
    );

    let missing = engine
        .base_image("bowline-no-such-image", &platform)
        .await
        .unwrap_err();
    assert!(
        matches!(missing, EngineError::NotFound { .. }),
        "{missing:?}"
    );
}

/// A config as rich as they come comes back as it went in: exactly from the containerd store,
/// up to fractions of seconds and authors in the history from a graph driver.
#[tokio::test]
async fn configs_come_back() {
    let engine = engine().await;
    let below = busybox(&engine).await;
    let tag = format!("{}:1", unique("config"));
    let line = |created_by: &str, empty_layer: bool| History {
        created: Some("2024-01-02T03:04:05Z".into()),
        created_by: created_by.into(),
        author: String::new(),
        comment: "buildkit.dockerfile.v0".into(),
        empty_layer,
    };
    let history = vec![
        line("ADD rootfs.tar / # buildkit", false),
        line("ENV A=b", true),
        line("COPY x / # buildkit", false),
        line("WORKDIR /w", true),
        line("CMD [\"sh\"]", true),
    ];
    let written = history.clone();
    let x = tar(&[("x", "content of x")]);
    let loaded = load(&engine, &below, Some(&x), &[&tag], move |config| {
        config.author = Some("somebody".into());
        config.created = Some("2024-01-02T03:04:05.123456789Z".into());
        config.history = written;
        let it = &mut config.config;
        it.user = "1000:1000".into();
        it.env.push("A=b".into());
        it.entrypoint = vec!["/bin/env".into()];
        it.cmd = vec!["sh".into(), "-c".into(), "exit".into()];
        it.working_dir = "/w".into();
        it.exposed_ports.insert("80/tcp".into(), Empty {});
        it.volumes.insert("/data".into(), Empty {});
        it.labels.insert("one".into(), "1".into());
        it.labels.insert("two".into(), "a b\"c".into());
        it.stop_signal = "SIGINT".into();
        it.on_build = vec!["RUN true".into()];
        it.shell = vec!["/bin/ash".into(), "-c".into()];
        it.healthcheck = Some(Healthcheck {
            test: vec!["CMD".into(), "true".into()],
            interval: 1_000_000_000,
            timeout: 2_000_000_000,
            start_period: 3_000_000_000,
            start_interval: 0,
            retries: 5,
        });
    })
    .await;
    let platform = engine.info().platform.clone();
    let base = engine.base_image(&tag, &platform).await.unwrap();
    engine.remove_image(&tag, true).await.unwrap();

    assert_eq!(base.id, loaded.id);
    assert_eq!(base.layers, loaded.layers);
    let config = &base.config;
    assert_eq!(config.author.as_deref(), Some("somebody"));
    assert_eq!(
        config.created.as_deref(),
        Some("2024-01-02T03:04:05.123456789Z")
    );
    let it = &config.config;
    assert_eq!(it.user, "1000:1000");
    assert_eq!(it.env.last().map(String::as_str), Some("A=b"));
    assert_eq!(it.entrypoint, ["/bin/env"]);
    assert_eq!(it.cmd, ["sh", "-c", "exit"]);
    assert_eq!(it.working_dir, "/w");
    assert_eq!(it.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp"]);
    assert_eq!(it.volumes.keys().collect::<Vec<_>>(), ["/data"]);
    assert_eq!(it.labels["two"], "a b\"c");
    assert_eq!(it.stop_signal, "SIGINT");
    assert_eq!(it.on_build, ["RUN true"]);
    assert_eq!(it.shell, ["/bin/ash", "-c"]);
    assert_eq!(it.healthcheck.as_ref().unwrap().retries, 5);
    assert!(it.other.is_empty(), "{:?}", it.other);
    let lines: Vec<_> = config
        .history
        .iter()
        .map(|l| (&l.created_by, l.empty_layer))
        .collect();
    let expected: Vec<_> = history
        .iter()
        .map(|l| (&l.created_by, l.empty_layer))
        .collect();
    assert_eq!(lines, expected);
    assert!(
        config
            .history
            .iter()
            .all(|line| line.comment == "buildkit.dockerfile.v0")
    );
}

#[tokio::test]
async fn an_image_without_layers_is_a_base() {
    let engine = engine().await;
    let tag = format!("{}:1", unique("bare"));
    load(&engine, &[], None, &[&tag], |config| {
        config.config.env = vec!["ONLY=settings".into()];
        config.history = vec![History {
            created_by: "ENV ONLY".into(),
            empty_layer: true,
            ..History::default()
        }];
    })
    .await;
    let platform = engine.info().platform.clone();
    let base = engine.base_image(&tag, &platform).await.unwrap();
    engine.remove_image(&tag, true).await.unwrap();
    assert_eq!(base.config.config.env, ["ONLY=settings"]);
    assert!(base.layers.is_empty() && base.config.rootfs.diff_ids.is_empty());
    assert_eq!(base.config.history.len(), 1);
    assert!(base.config.history[0].empty_layer);
}

#[tokio::test]
async fn an_image_for_another_platform_says_so() {
    let engine = engine().await;
    let tag = format!("{}:1", unique("foreign"));
    let below = busybox(&engine).await;
    load(&engine, &below, None, &[&tag], |config| {
        config.architecture = "s390x".into();
        config.variant = None;
    })
    .await;
    let base = engine
        .base_image(&tag, &Platform::new("linux", "s390x", None))
        .await;
    engine.remove_image(&tag, true).await.unwrap();
    assert_eq!(base.unwrap().config.architecture, "s390x");
}

#[test]
fn the_empty_layer_is_what_we_say() {
    let empty = bowline::image::Digest::sha256(&[0; 1024]);
    assert_eq!(empty.as_str(), EMPTY_LAYER_DIFF_ID);
}
