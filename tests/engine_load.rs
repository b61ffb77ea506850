//! Authored images.

use std::sync::Arc;

use bowline::engine::{Engine as _, EngineError, ImageStore, LoadRequest, NewLayer};
use bowline::image::{Digest, Layer};
use bytes::Bytes;
use futures::StreamExt as _;

use crate::support::engine::{
    BUSYBOX, busybox, config, diff_ids, engine, load, new_layer, run, shell, spec, tar, unique,
};

#[tokio::test]
async fn layers_pile_up() {
    let engine = engine().await;
    let mut layers = busybox(&engine).await;
    let base = layers.len();
    let mut ids = Vec::new();
    for n in 0..3 {
        let name = format!("file-{n}");
        let content = unique("pile");
        let tar = tar(&[(&name, &content), ("same", &name)]);
        let loaded = load(&engine, &layers, Some(&tar), &[], move |config| {
            config.config.labels.insert("step".into(), n.to_string());
        })
        .await;
        assert_eq!(loaded.layers.len(), layers.len() + 1);
        assert_eq!(loaded.layers[..layers.len()], layers[..]);
        let top = loaded.layers.last().unwrap();
        assert_eq!(top.diff_id, Digest::sha256(&tar));
        assert_eq!(
            top.blob.is_some(),
            engine.info().store == ImageStore::Containerd
        );

        let found = engine
            .image(&loaded.id)
            .await
            .unwrap()
            .expect("an untagged image is kept");
        assert_eq!(found.id, loaded.id);
        assert_eq!(found.diff_ids, diff_ids(&loaded.layers));
        assert_eq!(found.labels["step"], n.to_string());
        assert!(found.repo_tags.is_empty(), "{found:?}");
        assert_eq!(
            engine.layers(&loaded.id, &layers).await.unwrap(),
            loaded.layers
        );
        assert_eq!(engine.layers(&loaded.id, &[]).await.unwrap(), loaded.layers);

        let said = shell(&*engine, &loaded.id, "cat same; ls /file-* | wc -l").await;
        assert_eq!(said, format!("{name}{}\n", n + 1));
        layers = loaded.layers;
        ids.push(loaded.id);
    }
    assert_eq!(layers.len(), base + 3);
    for id in ids.iter().rev() {
        engine.remove_image(id, true).await.unwrap();
        assert!(engine.image(id).await.unwrap().is_none());
        engine.remove_image(id, true).await.unwrap();
    }
}

#[tokio::test]
async fn another_process_knows_the_layers_too() {
    let first = engine().await;
    let below = busybox(&first).await;
    let tar = tar(&[("x", &unique("x"))]);
    let loaded = load(&first, &below, Some(&tar), &[], |_| {}).await;
    let second = engine().await;
    let layers = second.layers(&loaded.id, &below).await.unwrap();
    first.remove_image(&loaded.id, true).await.unwrap();
    assert_eq!(layers, loaded.layers);
}

#[tokio::test]
async fn tags_name_images() {
    let engine = engine().await;
    let below = busybox(&engine).await;
    let name = unique("tags");
    let (one, two) = (format!("{name}:one"), format!("{name}:two"));
    let label = name.clone();
    let loaded = load(&engine, &below, None, &[&one, &two], move |config| {
        config.config.labels.insert("mine".into(), label);
    })
    .await;
    let far = format!("localhost:5000/some/{name}:three");
    engine.tag(&loaded.id, &far).await.unwrap();
    let mut tags = engine.image(&one).await.unwrap().unwrap().repo_tags;
    tags.sort();
    assert_eq!(tags, [one.clone(), two.clone(), far.clone()]);

    let listed = engine.images_of(&name).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].id, loaded.id);
    assert_eq!(listed[0].labels["mine"], name);

    // A name moves on to a new image, and the old one stays under its ID.
    let other = load(&engine, &below, None, &[&one], |config| {
        config.config.env.push("OTHER=1".into());
    })
    .await;
    assert_ne!(other.id, loaded.id);
    assert_eq!(engine.image(&one).await.unwrap().unwrap().id, other.id);
    assert_eq!(engine.image(&two).await.unwrap().unwrap().id, loaded.id);
    for name in [&one, &two, &far] {
        engine.remove_image(name, false).await.unwrap();
    }
    assert!(engine.image(&loaded.id).await.unwrap().is_none());
    let missing = engine.tag("bowline-no-such-image", &one).await.unwrap_err();
    assert!(
        matches!(missing, EngineError::NotFound { .. }),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_config_alone_makes_an_image() {
    let engine = engine().await;
    for below in [Vec::new(), busybox(&engine).await] {
        for tag in [None, Some(format!("{}:1", unique("bare")))] {
            let tags: Vec<&str> = tag.iter().map(String::as_str).collect();
            let loaded = load(&engine, &below, None, &tags, |config| {
                config.config.env = vec![format!("A={}", unique("a"))];
            })
            .await;
            let found = engine.image(&loaded.id).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{} layers, {tag:?}", below.len()));
            assert_eq!(found.diff_ids, diff_ids(&below));
            engine
                .remove_image(tag.as_deref().unwrap_or(&loaded.id), true)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_first_layer_over_nothing() {
    let engine = engine().await;
    let file = tar(&[("only", &unique("only"))]);
    let loaded = load(&engine, &[], Some(&file), &[], |_| {}).await;
    assert_eq!(loaded.layers.len(), 1);
    let spec = spec(&loaded.id, &["/nothing"]);
    engine.create(&spec).await.unwrap();
    assert!(engine.stat(&spec.name, "/only").await.unwrap().is_some());
    engine.remove(&spec.name).await.unwrap();
    engine.remove_image(&loaded.id, true).await.unwrap();
}

#[tokio::test]
async fn the_same_layer_again_and_the_empty_one_twice() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let empty = vec![0; 1024];
    let file = tar(&[("again", &unique("again"))]);
    let mut layers = base.clone();
    let mut ids = Vec::new();
    for tar in [&file, &empty, &empty, &file] {
        let loaded = load(&engine, &layers, Some(tar), &[], |_| {}).await;
        layers = loaded.layers;
        ids.push(loaded.id);
    }
    assert_eq!(layers[base.len() + 1].diff_id, Layer::empty().diff_id);
    assert_eq!(layers[base.len()].diff_id, layers[base.len() + 3].diff_id);
    let id = ids.last().unwrap();
    assert_eq!(
        engine.image(id).await.unwrap().unwrap().diff_ids,
        diff_ids(&layers)
    );
    assert_eq!(engine.layers(id, &[]).await.unwrap(), layers);
    shell(&*engine, id, "test -s /again").await;
    for id in &ids {
        engine.remove_image(id, true).await.unwrap();
    }
}

#[tokio::test]
async fn whiteouts_hide_files() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let one = tar(&[
        ("d/", ""),
        ("d/a", "a"),
        ("d/b", "b"),
        ("gone", &unique("g")),
    ]);
    let one = load(&engine, &base, Some(&one), &[], |_| {}).await;
    let two = tar(&[
        (".wh.gone", ""),
        ("d/", ""),
        ("d/.wh..wh..opq", ""),
        ("d/c", "c"),
    ]);
    let two = load(&engine, &one.layers, Some(&two), &[], |_| {}).await;
    let said = shell(&*engine, &two.id, "ls /d; ls / | grep -c gone || true").await;
    assert_eq!(said, "c\n0\n");
    for id in [&two.id, &one.id] {
        engine.remove_image(id, true).await.unwrap();
    }
}

#[tokio::test]
async fn a_layer_of_another_size_is_refused() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let tar = tar(&[("x", &unique("x"))]);
    for size in [
        tar.len() as u64 - 1,
        tar.len() as u64 + 1,
        tar.len() as u64 + 100_000,
    ] {
        let own = Arc::clone(&engine);
        let tag = format!("{}:1", unique("size"));
        let request = LoadRequest {
            take_names: true,
            below: base.clone(),
            new_layer: Some(NewLayer {
                size,
                ..new_layer(&tar)
            }),
            config: Box::new(move |layers| config(&*own, layers)),
            tags: vec![tag.clone()],
        };
        let error = engine.load(request).await.unwrap_err();
        assert!(matches!(error, EngineError::Local(_)), "{error:?}");
        assert!(engine.image(&tag).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_layer_that_cannot_be_read_stops_the_load() {
    let engine = engine().await;
    let content = futures::stream::iter([
        Ok(Bytes::from_static(b"some")),
        Err(std::io::Error::other("the file went away")),
    ]);
    let own = Arc::clone(&engine);
    let request = LoadRequest {
        take_names: true,
        below: Vec::new(),
        new_layer: Some(NewLayer {
            size: 100_000,
            content: content.boxed(),
        }),
        config: Box::new(move |layers| config(&*own, layers)),
        tags: Vec::new(),
    };
    let error = engine.load(request).await.unwrap_err();
    assert_eq!(error.to_string(), "the file went away");
}

#[tokio::test]
async fn a_layer_that_is_not_there_is_an_error() {
    let engine = engine().await;
    let digest = Digest::sha256(unique("missing").as_bytes());
    let blob = bowline::image::Descriptor {
        media_type: bowline::image::media_type::OCI_LAYER.into(),
        digest: digest.clone(),
        size: 1024,
    };
    let blob = (engine.info().store == ImageStore::Containerd).then_some(blob);
    let own = Arc::clone(&engine);
    let request = LoadRequest {
        take_names: true,
        below: vec![Layer {
            diff_id: digest,
            blob,
        }],
        new_layer: None,
        config: Box::new(move |layers| config(&*own, layers)),
        tags: vec![format!("{}:1", unique("missing"))],
    };
    let tag = request.tags[0].clone();
    let result = engine.load(request).await;
    let left = engine.image(&tag).await.unwrap();
    engine.remove_image(&tag, true).await.unwrap();
    assert!(result.is_err(), "{result:?}");
    assert!(left.is_none(), "{left:?}");
}

#[tokio::test]
async fn what_is_no_tar_is_an_error() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let noise = vec![7; 5000];
    let own = Arc::clone(&engine);
    let tag = format!("{}:1", unique("noise"));
    let request = LoadRequest {
        take_names: true,
        below: base,
        new_layer: Some(new_layer(&noise)),
        config: Box::new(move |layers| config(&*own, layers)),
        tags: vec![tag.clone()],
    };
    let error = engine.load(request).await.unwrap_err();
    assert!(matches!(error, EngineError::Api { .. }), "{error:?}");
    let left = engine.image(&tag).await.unwrap();
    engine.remove_image(&tag, true).await.unwrap();
    assert!(left.is_none(), "{left:?}");
}

#[tokio::test]
async fn loads_at_the_same_time_share_layers() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let shared = tar(&[("shared", &unique("shared")), ("big", &"x".repeat(300_000))]);
    let loads = (0..6).map(|n| {
        load(&engine, &base, Some(&shared), &[], move |config| {
            config.config.labels.insert("n".into(), (n % 3).to_string());
        })
    });
    let loaded = futures::future::join_all(loads).await;
    for one in &loaded {
        assert_eq!(one.layers, loaded[0].layers);
        assert!(engine.image(&one.id).await.unwrap().is_some());
    }
    shell(&*engine, &loaded[0].id, "test -s /shared").await;
    for one in &loaded {
        engine.remove_image(&one.id, true).await.unwrap();
    }
}

/// What a step does: run, commit, author over the new layer, go on from there.
#[tokio::test]
async fn a_commit_becomes_an_authored_image() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let text = unique("run");
    let first = spec(
        BUSYBOX,
        &["sh", "-c", &format!("echo {text} > /made; rm /bin/vi")],
    );
    let ended = run(&*engine, &first, b"").await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let committed = engine.commit(&first.name).await.unwrap();
    let layers = engine.layers(&committed, &base).await.unwrap();
    assert_eq!(layers.len(), base.len() + 1);
    let found = engine.image(&committed).await.unwrap().unwrap();
    assert_eq!(diff_ids(&layers), found.diff_ids);
    assert_eq!(layers[..base.len()], base[..]);
    let has_blob = engine.info().store == ImageStore::Containerd;
    assert!(
        layers.iter().all(|layer| layer.blob.is_some() == has_blob),
        "{layers:?}"
    );

    let file = tar(&[("after", "after")]);
    let loaded = load(&engine, &layers, Some(&file), &[], |config| {
        config.config.env = vec!["PATH=/bin".into()];
    })
    .await;
    engine.remove(&first.name).await.unwrap();
    engine.remove_image(&committed, true).await.unwrap();
    let said = shell(
        &*engine,
        &loaded.id,
        "cat /made /after; ls /bin/vi 2>/dev/null; env",
    )
    .await;
    assert!(said.starts_with(&format!("{text}\nafter")), "{said}");
    assert!(
        !said.contains("/bin/vi") && said.contains("PATH=/bin\n"),
        "{said}"
    );

    let idle = spec(&loaded.id, &["true"]);
    assert_eq!(run(&*engine, &idle, b"").await.status, 0);
    let unchanged = engine.commit(&idle.name).await.unwrap();
    engine.remove(&idle.name).await.unwrap();
    let layers = engine.layers(&unchanged, &loaded.layers).await.unwrap();
    assert_eq!(layers, loaded.layers);
    for id in [&unchanged, &loaded.id] {
        engine.remove_image(id, true).await.unwrap();
    }
}

/// Looking into the containerd store leaves nothing behind.
#[tokio::test]
async fn looking_leaves_no_images() {
    let engine = engine().await;
    busybox(&engine).await;
    for _ in 0..50 {
        if engine
            .images_of("*")
            .await
            .unwrap()
            .iter()
            .all(|image| !image.labels.contains_key("bowline.peek"))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("an image of a look is still there");
}

/// For an engine whose data root has less than 200 MB: `cargo test -- --ignored full_disk`.
#[tokio::test]
#[ignore = "wants an engine with a small disk"]
async fn full_disk() {
    let engine = engine().await;
    let size = 200 << 20;
    let mut header = tar::Header::new_gnu();
    header.set_path("large").unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let noise: Vec<u8> = (0..1_u32 << 18)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let noise = Bytes::from(noise);
    let head = Bytes::copy_from_slice(header.as_bytes());
    let chunks = (0..200).map(move |_| Ok(noise.clone()));
    let end = Bytes::from(vec![0; 1024]);
    let content = futures::stream::iter([Ok(head)])
        .chain(futures::stream::iter(chunks))
        .chain(futures::stream::iter([Ok(end)]));
    let own = Arc::clone(&engine);
    let tag = format!("{}:1", unique("full"));
    let request = LoadRequest {
        take_names: true,
        below: Vec::new(),
        new_layer: Some(NewLayer {
            size: size + 1536,
            content: content.boxed(),
        }),
        config: Box::new(move |layers| config(&*own, layers)),
        tags: vec![tag.clone()],
    };
    let error = engine.load(request).await.unwrap_err();
    assert!(matches!(error, EngineError::NoSpace { .. }), "{error:?}");
    assert!(engine.image(&tag).await.unwrap().is_none());
}
