//! What calls cost, in milliseconds: `cargo test -- --ignored --nocapture measure`.

use std::time::Instant;

use bowline::engine::{Engine as _, LoadRequest, NewLayer};
use bytes::Bytes;
use futures::StreamExt as _;

use crate::support::engine::{BUSYBOX, busybox, config, engine, load, run, spec, tar, unique};

struct Times(Vec<(&'static str, Vec<f64>)>);

impl Times {
    fn add(&mut self, what: &'static str, since: Instant) {
        let ms = since.elapsed().as_secs_f64() * 1000.0;
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, times)) => times.push(ms),
            None => self.0.push((what, vec![ms])),
        }
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure() {
    let mut times = Times(Vec::new());
    let platform = engine().await.info().platform.clone();
    for round in 0..12 {
        let now = Instant::now();
        let engine = engine().await;
        times.add("connect", now);
        let now = Instant::now();
        engine.image(BUSYBOX).await.unwrap();
        times.add("image", now);
        let now = Instant::now();
        engine.images_of("busybox").await.unwrap();
        times.add("images_of", now);
        let now = Instant::now();
        engine.base_image(BUSYBOX, &platform).await.unwrap();
        times.add("base_image", now);
        let base = busybox(&engine).await;

        let small = tar(&[("x", &unique("x"))]);
        let now = Instant::now();
        let loaded = load(&engine, &base, Some(&small), &[], |_| {}).await;
        times.add("load, small layer", now);
        let name = unique("measure");
        let tag = format!("{name}:1");
        let now = Instant::now();
        engine.tag(&loaded.id, &tag).await.unwrap();
        times.add("tag", now);
        let now = Instant::now();
        engine.image(&tag).await.unwrap();
        times.add("image, own", now);
        let small = tar(&[("y", &unique("y"))]);
        let other = format!("{name}:2");
        let now = Instant::now();
        load(&engine, &loaded.layers, Some(&small), &[&other], |_| {}).await;
        times.add("load, small layer, tag", now);
        let third = format!("{name}:3");
        let now = Instant::now();
        load(&engine, &loaded.layers, None, &[&third], move |config| {
            config.config.env.push(format!("ROUND={round}"));
        })
        .await;
        times.add("load, config, tag", now);

        let shared = tar(&[("shared", &unique("shared"))]);
        let both = (0..2).map(|n| {
            load(&engine, &base, Some(&shared), &[], move |config| {
                config.config.env.push(format!("N={n}-{round}"));
            })
        });
        let now = Instant::now();
        let both = futures::future::join_all(both).await;
        times.add("two loads at once, one layer", now);
        for one in &both {
            engine.remove_image(&one.id, true).await.unwrap();
        }

        let spec = spec(&tag, &["sh", "-c", "echo x > /y"]);
        let now = Instant::now();
        run(&*engine, &spec, b"").await;
        times.add("create, attach, start, run, wait", now);
        let now = Instant::now();
        let committed = engine.commit(&spec.name).await.unwrap();
        times.add("commit", now);
        let now = Instant::now();
        let layers = engine.layers(&committed, &loaded.layers).await.unwrap();
        times.add("layers", now);
        let now = Instant::now();
        let done = load(&engine, &layers, None, &[], |_| {}).await;
        times.add("load, config over commit", now);
        let now = Instant::now();
        engine.remove(&spec.name).await.unwrap();
        times.add("remove container", now);
        let now = Instant::now();
        engine.remove_image(&committed, true).await.unwrap();
        times.add("remove image", now);
        for name in [&third, &other, &tag, &done.id] {
            engine.remove_image(name, true).await.unwrap();
        }
    }
    for (what, mut list) in times.0 {
        list.sort_by(f64::total_cmp);
        println!(
            "{what:34} {:7.1}  (least {:.1})",
            list[list.len() / 2],
            list[0]
        );
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_large_layers() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let names: Vec<String> = (0..10_000).map(|n| format!("d{}/f{n}", n % 100)).collect();
    let text = unique("many");
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), text.as_str()))
        .collect();
    let many = tar(&files);
    let now = Instant::now();
    let loaded = load(&engine, &base, Some(&many), &[], |_| {}).await;
    println!("10,000 files, {} MB: {:?}", many.len() >> 20, now.elapsed());
    engine.remove_image(&loaded.id, true).await.unwrap();

    // A tar of one file of noise that is made while it is sent.
    let gib = 1u64 << 30;
    let mut header = tar::Header::new_gnu();
    header.set_path("noise").unwrap();
    header.set_size(gib);
    header.set_mode(0o644);
    header.set_cksum();
    let head = Bytes::copy_from_slice(header.as_bytes());
    let mut noise = vec![0u8; 1 << 20];
    let mut state = 88_172_645_463_325_252_u64;
    for chunk in noise.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    let noise = Bytes::from(noise);
    let body = futures::stream::iter((0..1024).map(move |_| Ok(noise.clone())));
    let ends = futures::stream::iter([Ok(Bytes::from(vec![0; 1024]))]);
    let content = futures::stream::iter([Ok(head)])
        .chain(body)
        .chain(ends)
        .boxed();
    let own = std::sync::Arc::clone(&engine);
    let request = LoadRequest {
        take_names: true,
        below: base,
        new_layer: Some(NewLayer {
            size: gib + 1536,
            content,
        }),
        config: Box::new(move |layers| config(&*own, layers)),
        tags: Vec::new(),
    };
    let (before, now) = (peak_memory(), Instant::now());
    let loaded = engine.load(request).await.unwrap();
    println!(
        "1 GiB: {:?}, peak memory {} MB, before {before} MB",
        now.elapsed(),
        peak_memory()
    );
    engine.remove_image(&loaded.id, true).await.unwrap();
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or_default()
        >> 10
}
