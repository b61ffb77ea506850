//! Containers: run, streams, exit codes, what an image may not smuggle in.

use bowline::engine::{Engine as _, EngineError, Mount, NetworkMode};
use futures::StreamExt as _;

use crate::support::engine::{BUSYBOX, Ended, busybox, engine, load, run, shell, spec, unique};

#[tokio::test]
async fn exit_codes_and_streams_come_back() {
    let engine = engine().await;
    for (line, status, stdout, stderr) in [
        ("echo out; echo err >&2", 0, "out\n", "err\n"),
        ("printf 'no newline'; exit 7", 7, "no newline", ""),
        ("exit 255", 255, "", ""),
    ] {
        let spec = spec(BUSYBOX, &["sh", "-c", line]);
        let ended = run(&*engine, &spec, b"").await;
        let detail = engine.inspect(&spec.name).await.unwrap().unwrap();
        engine.remove(&spec.name).await.unwrap();
        let expected = Ended {
            status,
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        assert_eq!(ended, expected, "{line}");
        assert_eq!((detail.exit_code, detail.running), (status, false));
        assert_eq!(detail.status, "exited");
    }
}

#[tokio::test]
async fn a_fast_exit_is_not_missed() {
    let engine = engine().await;
    for n in 0..10 {
        let spec = spec(BUSYBOX, &["sh", "-c", &format!("echo {n}; exit {n}")]);
        let ended = run(&*engine, &spec, b"").await;
        // Once more, long after its end.
        assert_eq!(engine.wait(&spec.name).await.unwrap(), n);
        engine.remove(&spec.name).await.unwrap();
        assert_eq!((ended.status, ended.stdout), (n, format!("{n}\n")));
    }
}

#[tokio::test]
async fn standard_input_arrives_and_ends() {
    let engine = engine().await;
    let mut spec = spec(BUSYBOX, &["sh", "-c", "wc -c; exec >&2; echo done"]);
    spec.stdin = true;
    let input = vec![b'x'; 3_000_000];
    let ended = run(&*engine, &spec, &input).await;
    engine.remove(&spec.name).await.unwrap();
    let expected = Ended {
        status: 0,
        stdout: "3000000\n".into(),
        stderr: "done\n".into(),
    };
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn a_container_without_input_finds_its_end() {
    let engine = engine().await;
    assert_eq!(shell(&*engine, BUSYBOX, "wc -c").await, "0\n");
}

#[tokio::test]
async fn much_output_comes_through() {
    let engine = engine().await;
    let line = "yes 0123456789abcdef | head -c 8000000; yes e | head -c 100000 >&2";
    let spec = spec(BUSYBOX, &["sh", "-c", line]);
    let ended = run(&*engine, &spec, b"").await;
    engine.remove(&spec.name).await.unwrap();
    assert_eq!(
        (ended.stdout.len(), ended.stderr.len()),
        (8_000_000, 100_000)
    );
}

#[tokio::test]
async fn output_comes_while_it_runs() {
    let engine = engine().await;
    let mut spec = spec(BUSYBOX, &["sh", "-c", "echo first; read line; echo $line"]);
    spec.stdin = true;
    engine.create(&spec).await.unwrap();
    let mut attached = engine.attach(&spec.name).await.unwrap();
    engine.start(&spec.name).await.unwrap();
    let (_, first) = attached.output.next().await.unwrap().unwrap();
    assert_eq!(first, "first\n");
    tokio::io::AsyncWriteExt::write_all(&mut attached.stdin, b"answer\n")
        .await
        .unwrap();
    let (_, second) = attached.output.next().await.unwrap().unwrap();
    assert_eq!(second, "answer\n");
    assert!(attached.output.next().await.is_none());
    assert_eq!(engine.wait(&spec.name).await.unwrap(), 0);
    engine.remove(&spec.name).await.unwrap();
}

#[tokio::test]
async fn the_image_does_not_choose_the_command() {
    let engine = engine().await;
    let base = busybox(&engine).await;
    let loaded = load(&engine, &base, None, &[], |config| {
        config.config.entrypoint = vec!["/bin/false".into()];
        config.config.cmd = vec!["wrong".into()];
        config.config.user = "nobody".into();
        config.config.env.push("FROM=image".into());
        config.config.healthcheck = Some(bowline::image::Healthcheck {
            test: vec!["CMD".into(), "true".into()],
            ..Default::default()
        });
        config
            .config
            .exposed_ports
            .insert("80/tcp".into(), bowline::image::Empty {});
    })
    .await;
    let mut command = spec(&loaded.id, &[]);
    command.args = vec![
        "sh".into(),
        "-c".into(),
        "echo $0 $# $FROM; id -u; pwd".into(),
    ];
    command.user = "0".into();
    command.working_dir = "/tmp".into();
    let ended = run(&*engine, &command, b"").await;
    engine.remove(&command.name).await.unwrap();
    let mut plain = spec(&loaded.id, &["echo"]);
    plain.platform = Some(engine.info().platform.clone());
    let bare = run(&*engine, &plain, b"").await;
    engine.remove(&plain.name).await.unwrap();
    engine.remove_image(&loaded.id, true).await.unwrap();
    assert_eq!(ended.stdout, "sh 0 image\n0\n/tmp\n");
    assert_eq!((bare.status, bare.stdout.as_str()), (0, "\n"));
}

#[tokio::test]
async fn joins_another_containers_network() {
    let engine = engine().await;
    let mut pause = spec(BUSYBOX, &["sleep", "60"]);
    pause.hostname = Some("the-pod".into());
    engine.create(&pause).await.unwrap();
    engine.start(&pause.name).await.unwrap();
    let detail = engine.inspect(&pause.name).await.unwrap().unwrap();
    assert!(detail.running && detail.hostname == "the-pod", "{detail:?}");
    assert_eq!(
        (detail.name.as_str(), detail.network_mode.as_str()),
        (&*pause.name, "none")
    );
    let mut joined = spec(
        BUSYBOX,
        &["sh", "-c", "hostname; cat /proc/net/dev | wc -l"],
    );
    joined.network = NetworkMode::Container(detail.id.clone());
    joined.hostname = Some("ignored".into());
    joined.extra_hosts = vec!["a:1.2.3.4".into()];
    let ended = run(&*engine, &joined, b"").await;
    let joined_detail = engine.inspect(&joined.name).await.unwrap().unwrap();
    for name in [&joined.name, &pause.name] {
        engine.remove(name).await.unwrap();
    }
    assert_eq!(ended.stdout.lines().next(), Some("the-pod"), "{ended:?}");
    assert_eq!(
        joined_detail.network_mode,
        format!("container:{}", detail.id)
    );
    let lost = spec(BUSYBOX, &["true"]);
    let lost = bowline::engine::ContainerSpec {
        network: joined.network,
        ..lost
    };
    engine.create(&lost).await.unwrap();
    let error = engine.start(&lost.name).await.unwrap_err();
    engine.remove(&lost.name).await.unwrap();
    assert!(
        matches!(
            error,
            EngineError::NotFound { .. } | EngineError::Conflict { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn extra_hosts_and_names_on_a_network_of_its_own() {
    let engine = engine().await;
    let mut spec = spec(BUSYBOX, &["sh", "-c", "grep 1.2.3.4 /etc/hosts; hostname"]);
    spec.network = NetworkMode::Default;
    spec.hostname = Some("named".into());
    spec.extra_hosts = vec!["a:1.2.3.4".into()];
    let ended = run(&*engine, &spec, b"").await;
    engine.remove(&spec.name).await.unwrap();
    assert_eq!(ended.stdout, "1.2.3.4\ta\nnamed\n");
}

#[tokio::test]
async fn volumes_and_memory_below_dev_leave_no_trace() {
    let engine = engine().await;
    let volume = unique("volume");
    let labels = std::collections::BTreeMap::from([("bowline.test".into(), "1".into())]);
    assert!(engine.ensure_volume(&volume, &labels).await.unwrap());
    assert!(!engine.ensure_volume(&volume, &labels).await.unwrap());
    let mount = |target: &str, read_only| Mount::Volume {
        name: volume.clone(),
        target: target.into(),
        read_only,
    };
    let mut fill = spec(BUSYBOX, &["sh", "-c", "echo kept > /dev/v/file"]);
    fill.mounts = vec![mount("/dev/v", false)];
    assert_eq!(run(&*engine, &fill, b"").await.status, 0);
    let line = "cat /dev/v/file; touch /dev/v/x 2>/dev/null || echo read-only; \
                stat -c %a /dev/t; df -k /dev/t | tail -1 | awk '{print $2}'";
    let mut read = spec(BUSYBOX, &["sh", "-c", line]);
    let tmpfs = Mount::Tmpfs {
        target: "/dev/t".into(),
        size: Some(1 << 20),
        mode: Some(0o1770),
    };
    read.mounts = vec![mount("/dev/v", true), tmpfs];
    let ended = run(&*engine, &read, b"").await;
    let committed = engine.commit(&read.name).await.unwrap();
    let base = engine.image(BUSYBOX).await.unwrap().unwrap();
    let unchanged = engine.image(&committed).await.unwrap().unwrap();
    let busy = engine.remove_volume(&volume).await.unwrap_err();
    for name in [&fill.name, &read.name] {
        engine.remove(name).await.unwrap();
    }
    engine.remove_image(&committed, true).await.unwrap();
    engine.remove_volume(&volume).await.unwrap();
    engine.remove_volume(&volume).await.unwrap();
    assert_eq!(ended.stdout, "kept\nread-only\n1770\n1024\n");
    assert_eq!(unchanged.diff_ids, base.diff_ids);
    assert!(matches!(busy, EngineError::Conflict { .. }), "{busy:?}");
}

#[tokio::test]
async fn limits_reach_the_container() {
    let engine = engine().await;
    let line = "ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1 | awk '{print $2}'";
    let mut spec = spec(BUSYBOX, &["sh", "-c", line]);
    spec.limits.ulimits = vec![("nofile".into(), 100, 200)];
    spec.limits.shm_size = Some(2 << 20);
    spec.limits.memory = Some(64 << 20);
    let ended = run(&*engine, &spec, b"").await;
    engine.remove(&spec.name).await.unwrap();
    assert_eq!(ended.stdout, "100\n200\n2048\n");
}

#[tokio::test]
async fn containers_are_found_by_labels() {
    let engine = engine().await;
    let mark = unique("mark");
    let mut one = spec(BUSYBOX, &["true"]);
    one.labels.insert("mark".into(), mark.clone());
    let id = engine.create(&one).await.unwrap();
    let two = spec(BUSYBOX, &["true"]);
    engine.create(&two).await.unwrap();
    let found = engine
        .containers(&[("mark", &mark), ("bowline.test", "")])
        .await
        .unwrap();
    let none = engine.containers(&[("mark", "other")]).await.unwrap();
    for name in [&one.name, &two.name] {
        engine.remove(name).await.unwrap();
        engine.remove(name).await.unwrap();
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0].id, found[0].running), (&id, false));
    assert_eq!(found[0].names, [one.name.clone()]);
    assert_eq!(found[0].labels["mark"], mark);
    assert!(none.is_empty());
    assert!(engine.inspect(&one.name).await.unwrap().is_none());
    assert!(engine.inspect("../odd").await.unwrap().is_none());
}

#[tokio::test]
async fn errors_have_kinds() {
    let engine = engine().await;
    let missing = engine
        .create(&spec("bowline-no-such-image", &["true"]))
        .await
        .unwrap_err();
    assert!(
        matches!(missing, EngineError::NotFound { .. }),
        "{missing:?}"
    );
    let one = spec(BUSYBOX, &["true"]);
    engine.create(&one).await.unwrap();
    let taken = engine.create(&one).await.unwrap_err();
    engine.remove(&one.name).await.unwrap();
    assert!(matches!(taken, EngineError::Conflict { .. }), "{taken:?}");
    let gone = engine.start(&one.name).await.unwrap_err();
    assert!(matches!(gone, EngineError::NotFound { .. }), "{gone:?}");
    let none = spec(BUSYBOX, &["/no/such/program"]);
    engine.create(&none).await.unwrap();
    let error = engine.start(&none.name).await.unwrap_err();
    engine.remove(&none.name).await.unwrap();
    assert!(error.to_string().contains("/no/such/program"), "{error:?}");
}

#[tokio::test]
async fn networks_are_found_by_name() {
    let engine = engine().await;
    let id = engine.network("none").await.unwrap().unwrap();
    assert_eq!(engine.network(&id).await.unwrap().as_ref(), Some(&id));
    for missing in ["bowline-no-such-network", "../odd", ""] {
        assert_eq!(engine.network(missing).await.unwrap(), None, "{missing}");
    }
}
