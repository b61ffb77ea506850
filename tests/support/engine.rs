//! An engine to test with, and short ways to say what tests say often.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bowline::engine::docker::{Credentials, DockerEngine, resolve_endpoint};
use bowline::engine::{
    ContainerSpec, Engine, Limits, LoadRequest, Loaded, NetworkMode, NewLayer, Stream,
};
use bowline::image::{Digest, ImageConfig, Layer};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

pub(crate) const BUSYBOX: &str = "busybox:latest";

/// The engine.
///
/// # Panics
/// Without one: a test that needs an engine and has none did not pass.
pub(crate) async fn engine() -> Arc<DockerEngine> {
    engine_with(Credentials::none()).await
}

pub(crate) async fn engine_with(credentials: Credentials) -> Arc<DockerEngine> {
    let env = |name: &str| std::env::var(name).ok();
    let config = env("DOCKER_CONFIG").map_or_else(
        || PathBuf::from(env("HOME").unwrap_or_default()).join(".docker"),
        PathBuf::from,
    );
    let connected = async {
        let endpoint = resolve_endpoint(None, None, &env, &config)?;
        DockerEngine::connect_with(&endpoint, credentials).await
    };
    match connected.await {
        Ok(engine) => engine,
        Err(error) => panic!(
            "this test needs a Docker Engine: start one with `tests/engine.sh use` and set \
             DOCKER_HOST to the address it prints ({error})"
        ),
    }
}

/// A name that no other test, and no other run of this one, has.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos() % 1_000_000_000_000);
    format!("bowline-test-{what}-{}-{now}-{count}", std::process::id())
}

/// A tar of files; a name with a slash at its end is a folder.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mtime(1_700_000_000);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
        } else {
            header.set_mode(0o644);
        }
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn new_layer(tar: &[u8]) -> NewLayer {
    let chunks: Vec<_> = tar
        .chunks(1000)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    NewLayer {
        size: tar.len() as u64,
        content: futures::stream::iter(chunks).boxed(),
    }
}

/// A config for the engine's platform, with a history of the right length.
pub(crate) fn config(engine: &dyn Engine, layers: &[Layer]) -> ImageConfig {
    let mut config = ImageConfig::scratch(&engine.info().platform);
    config.config.cmd = vec!["sh".into()];
    config.created = Some("2024-01-02T03:04:05.678Z".into());
    config.history = layers
        .iter()
        .map(|_| bowline::image::History::default())
        .collect();
    config
}

/// Loads an image over layers; its config is made by `config` and changed by `change`.
pub(crate) async fn load(
    engine: &Arc<DockerEngine>,
    below: &[Layer],
    new: Option<&[u8]>,
    tags: &[&str],
    change: impl FnOnce(&mut ImageConfig) + Send + 'static,
) -> Loaded {
    let own = Arc::clone(engine);
    let request = LoadRequest {
        take_names: true,
        below: below.to_vec(),
        new_layer: new.map(new_layer),
        config: Box::new(move |layers| {
            let mut config = config(&*own, layers);
            change(&mut config);
            config
        }),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    engine.load(request).await.unwrap()
}

pub(crate) async fn busybox(engine: &Arc<DockerEngine>) -> Vec<Layer> {
    let platform = engine.info().platform.clone();
    engine.base_image(BUSYBOX, &platform).await.unwrap().layers
}

pub(crate) fn diff_ids(layers: &[Layer]) -> Vec<Digest> {
    layers.iter().map(|layer| layer.diff_id.clone()).collect()
}

pub(crate) fn spec(image: &str, command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: unique("c"),
        image: image.into(),
        platform: None,
        entrypoint: command.iter().map(|word| (*word).to_owned()).collect(),
        args: Vec::new(),
        user: String::new(),
        working_dir: "/".into(),
        labels: BTreeMap::from([("bowline.test".into(), "1".into())]),
        network: NetworkMode::None,
        hostname: None,
        extra_hosts: Vec::new(),
        mounts: Vec::new(),
        stdin: false,
        limits: Limits::default(),
    }
}

/// What a container that ran to its end said.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ended {
    pub(crate) status: i64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Creates, runs and keeps a container.
pub(crate) async fn run(engine: &dyn Engine, spec: &ContainerSpec, stdin: &[u8]) -> Ended {
    engine.create(spec).await.unwrap();
    let mut attached = engine.attach(&spec.name).await.unwrap();
    engine.start(&spec.name).await.unwrap();
    let mut ended = Ended::default();
    let feed = async {
        let _ = attached.stdin.write_all(stdin).await;
        let _ = attached.stdin.shutdown().await;
    };
    let listen = async {
        while let Some(piece) = attached.output.next().await {
            let (stream, bytes) = piece.unwrap();
            let text = String::from_utf8_lossy(&bytes);
            match stream {
                Stream::Stdout => ended.stdout.push_str(&text),
                Stream::Stderr => ended.stderr.push_str(&text),
            }
        }
    };
    tokio::join!(feed, listen);
    ended.status = engine.wait(&spec.name).await.unwrap();
    ended
}

/// Runs a shell line in an image and removes the container; gives its output.
pub(crate) async fn shell(engine: &dyn Engine, image: &str, line: &str) -> String {
    let spec = spec(image, &["sh", "-c", line]);
    let ended = run(engine, &spec, b"").await;
    engine.remove(&spec.name).await.unwrap();
    assert_eq!(ended.status, 0, "{line}: {ended:?}");
    ended.stdout
}
