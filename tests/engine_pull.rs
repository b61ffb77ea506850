//! Pulls, from a registry on this host.

use std::sync::Mutex;

use bowline::engine::docker::Credentials;
use bowline::engine::{Engine as _, EngineError, ImageStore, PullEvent};
use bowline::image::{Digest, Platform, Reference};

use crate::support::engine::{engine, engine_with, tar, unique};
use crate::support::registry::{Image, Registry};

fn sample(architecture: &str) -> Image {
    let layer = tar(&[("pulled", &unique("pulled"))]);
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux",
        "config": { "Cmd": [architecture] },
        "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(&layer)] },
        "history": [{ "created_by": "COPY pulled / # buildkit" }],
    });
    Image {
        architecture: architecture.into(),
        layer,
        config: config.to_string(),
    }
}

#[tokio::test]
async fn by_tag_and_by_digest_with_progress() {
    let engine = engine().await;
    let image = sample("amd64");
    let diff_id = Digest::sha256(&image.layer);
    let registry = Registry::start(&[image], None).await;
    let amd64 = Platform::new("linux", "amd64", None);
    let digest = Some(registry.digest.to_string());
    for (tag, digest) in [
        (Some("tag"), None),
        (None, digest.clone()),
        (Some("other"), digest),
    ] {
        let reference = Reference {
            registry: Some(registry.address.clone()),
            repository: "image".into(),
            tag: tag.map(str::to_owned),
            digest,
        };
        let events: Mutex<Vec<PullEvent>> = Mutex::default();
        let on_pull = |event| events.lock().unwrap().push(event);
        engine
            .pull(&reference, Some(&amd64), &on_pull)
            .await
            .unwrap();
        let events = events.into_inner().unwrap();
        assert!(
            events.iter().any(|event| event.status.contains("Digest:")),
            "{events:?}"
        );
        let plain = Reference {
            tag: None,
            ..reference.clone()
        };
        let by = if reference.digest.is_some() {
            plain
        } else {
            reference
        };
        let base = engine.base_image(&by.to_string(), &amd64).await.unwrap();
        assert_eq!(base.config.config.cmd, ["amd64"]);
        assert_eq!(base.config.rootfs.diff_ids, std::slice::from_ref(&diff_id));
        let expected = format!("{}/image@{}", registry.address, registry.digest);
        assert!(
            base.repo_digests.contains(&expected),
            "{:?}",
            base.repo_digests
        );
        engine.remove_image(&base.id, true).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_ours() {
    let open = Registry::start(&[sample("amd64")], None).await;
    let login = ("user?", "pass>word~\u{fc}?>");
    let closed = Registry::start(&[sample("amd64")], Some(login)).await;
    let quiet = |_: PullEvent| {};
    let pull = async |engine: &dyn bowline::engine::Engine, name: String| {
        let result = engine
            .pull(&Reference::parse(&name).unwrap(), None, &quiet)
            .await;
        if result.is_ok() {
            engine.remove_image(&name, true).await.unwrap();
        }
        result
    };
    let anonymous = engine().await;
    for name in [
        format!("{}/image:nope", open.address),
        format!("{}/nope:tag", open.address),
    ] {
        let error = pull(&*anonymous, name).await.unwrap_err();
        assert!(matches!(error, EngineError::NotFound { .. }), "{error:?}");
    }
    let name = format!("{}/image:tag", closed.address);
    let error = pull(&*anonymous, name.clone()).await.unwrap_err();
    assert!(
        matches!(error, EngineError::Unauthorized { .. }),
        "{error:?}"
    );

    let dir = tempfile::tempdir().unwrap();
    let known = serde_json::json!({ "auths": { closed.address.clone(): {
        "username": login.0, "password": login.1,
    }}});
    std::fs::write(dir.path().join("config.json"), known.to_string()).unwrap();
    let ours = engine_with(Credentials::new(dir.path().to_owned(), None)).await;
    pull(&*ours, name).await.unwrap();
}

/// An index for machines that the engine may not be: the containerd store keeps the index, and
/// only the wanted image of it.
#[tokio::test]
async fn the_wanted_platform_of_several() {
    let engine = engine().await;
    let images = [sample("amd64"), sample("arm64"), sample("s390x")];
    let layers: Vec<Digest> = images
        .iter()
        .map(|image| Digest::sha256(&image.layer))
        .collect();
    let registry = Registry::start(&images, None).await;
    let name = format!("{}/image:tag", registry.address);
    let reference = Reference::parse(&name).unwrap();
    let containerd = engine.info().store == ImageStore::Containerd;
    for (architecture, layer) in [("arm64", 1), ("amd64", 0)] {
        let platform = Platform::new("linux", architecture, None);
        engine
            .pull(&reference, Some(&platform), &|_| {})
            .await
            .unwrap();
        let base = engine.base_image(&name, &platform).await.unwrap();
        assert_eq!(base.config.config.cmd, [architecture]);
        assert_eq!(base.config.rootfs.diff_ids, [layers[layer].clone()]);
        assert_eq!(base.layers[0].blob.is_some(), containerd);
        assert!(engine.image(&name).await.unwrap().is_some());
        if containerd {
            let missing = Platform::new("linux", "s390x", None);
            let error = engine.base_image(&name, &missing).await.unwrap_err();
            assert!(matches!(error, EngineError::NotFound { .. }), "{error:?}");
        }
    }
    engine.remove_image(&name, true).await.unwrap();
}
