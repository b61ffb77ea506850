//! Files in containers.

use bowline::engine::{Engine as _, EngineError};
use tokio::io::AsyncReadExt as _;

use crate::support::engine::{BUSYBOX, busybox, engine, load, run, spec, tar};

#[tokio::test]
async fn stats_are_those_of_unix() {
    let engine = engine().await;
    let line = "mkdir -p /d/e; chmod 1777 /d; echo hello > /d/f; chmod 4755 /d/f; \
                mkfifo -m 600 /d/p; ln -s f /d/l; ln -s /d/e /d/le; ln -s nowhere /d/dangling";
    let spec = spec(BUSYBOX, &["sh", "-c", line]);
    assert_eq!(run(&*engine, &spec, b"").await.status, 0);
    let mut found = Vec::new();
    for path in [
        "/d",
        "/d/f",
        "/d/e",
        "/d/p",
        "/d/l",
        "/d/le",
        "/d/dangling",
        "/",
        "/d/le/../f",
    ] {
        found.push((path, engine.stat(&spec.name, path).await.unwrap()));
    }
    for path in ["/nothing", "/d/f/x", "/d/nothing"] {
        assert_eq!(engine.stat(&spec.name, path).await.unwrap(), None, "{path}");
    }
    engine.remove(&spec.name).await.unwrap();
    assert_eq!(engine.stat(&spec.name, "/d").await.unwrap(), None);
    let found: Vec<_> = found
        .into_iter()
        .map(|(path, stat)| {
            stat.map(|stat| (path, stat.mode, stat.link_target))
                .unwrap()
        })
        .collect();
    let expected = [
        ("/d", 0o041_777, ""),
        ("/d/f", 0o104_755, ""),
        ("/d/e", 0o040_755, ""),
        ("/d/p", 0o010_600, ""),
        ("/d/l", 0o120_777, "/d/f"),
        ("/d/le", 0o120_777, "/d/e"),
        ("/d/dangling", 0o120_777, "/d/nowhere"),
        ("/", 0o040_755, ""),
        ("/d/le/../f", 0o104_755, ""),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, mode, link)| (*path, *mode, (*link).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn files_go_in_and_come_out() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let layer = tar(&[("d/", ""), ("d/a", "one"), ("d/e/", ""), ("d/e/b", "two")]);
    let loaded = load(&engine, &base, Some(&layer), &[], |_| {}).await;
    let spec = spec(&loaded.id, &["true"]);
    engine.create(&spec).await.unwrap();
    let more = tar(&[("e/", ""), ("e/c", "three")]);
    engine.write(&spec.name, "/d", more.into()).await.unwrap();
    let mut bytes = Vec::new();
    engine
        .read(&spec.name, "/d")
        .await
        .unwrap()
        .read_to_end(&mut bytes)
        .await
        .unwrap();
    let missing = engine.read(&spec.name, "/nothing").await.err().unwrap();
    let no_folder = engine
        .write(&spec.name, "/nothing", tar(&[]).into())
        .await
        .unwrap_err();
    let not_folder = engine
        .write(&spec.name, "/d/a", tar(&[("x", "")]).into())
        .await;
    engine.remove(&spec.name).await.unwrap();
    engine.remove_image(&loaded.id, true).await.unwrap();

    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["d/", "d/a", "d/e/", "d/e/b", "d/e/c"]);
    assert!(
        matches!(missing, EngineError::NotFound { .. }),
        "{missing:?}"
    );
    assert!(
        matches!(no_folder, EngineError::NotFound { .. }),
        "{no_folder:?}"
    );
    assert!(not_folder.is_err());
}
