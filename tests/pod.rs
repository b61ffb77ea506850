//! The scene that bowline is for: a build in a CI pod has the pod's identity in every RUN, with
//! nothing to configure, and nothing of it stays.

use std::process::Command;

use crate::support::pod::{Pod, ROLES, Service, engine_files_with};
use crate::support::{Docker, Folder, LIMIT, finish, script, unique};

/// A step that gets the credentials, and only says whether they were the right ones.
fn asking(address: &str, service: &Service<'_>) -> Folder {
    let url = format!("http://{address}:8181/{ROLES}builder");
    Folder::new(&[(
        "Dockerfile",
        &format!(
            "FROM busybox\nRUN test \"$(wget -q -O - {url} | sha256sum | cut -c 1-64)\" = {} && echo got the credentials {} > /result\n",
            service.digest(),
            unique()
        ),
    )])
}

/// Builds in the pod in every way that matters, and looks for what may have stayed.
fn has_identity(pod: &Pod, address: &str, service: &Service<'_>) {
    let tag = format!("bowline-test-identity-{}", unique());
    let since = tempfile::NamedTempFile::new().unwrap();
    pod.put(&asking(address, service));
    let build = |flags: &[&str]| {
        let words = ["build", "--progress=plain", "--no-cache", "--tag", &tag];
        pod.bowline(&[&words[..], flags, &["/src"]].concat())
    };
    let finished = build(&[]);
    assert!(finished.success(), "{}", finished.everything());
    let line = format!(
        "RUN joins the network of pod jenkins/{} at {}: that of container {} (",
        pod.name(),
        pod.address(),
        pod.container("POD")
    );
    assert!(finished.stderr.contains(&line), "{}", finished.stderr);
    let got = Docker::output(&["run", "--rm", "--network=none", &tag, "cat", "/result"]).unwrap();
    assert!(got.starts_with("got the credentials"), "{got}");
    for network in ["none", "default"] {
        let without = build(&["--network", network]);
        assert!(!without.success(), "{network}: {}", without.everything());
    }
    let finished = pod.bowline(&[
        "sandbox",
        "--probe",
        &format!("http://{address}:8181/{ROLES}"),
    ]);
    let text = finished.everything();
    assert!(text.contains("answers `HTTP/1.1 200 OK`"), "{text}");
    // Nothing of it is left: not in the image, not in its history, not on the engine's disk.
    let saved = Docker::save(&tag).unwrap();
    let holds = |bytes: &[u8]| {
        let secret = service.secret.as_bytes();
        bytes.windows(secret.len()).any(|window| window == secret)
    };
    assert!(!holds(saved.config.to_string().as_bytes()));
    assert!(!saved.layers.iter().any(|layer| holds(layer)));
    assert_eq!(
        engine_files_with(since.path(), &service.secret),
        Vec::<String>::new()
    );
    Docker::remove_image(&tag);
}

#[test]
fn a_build_in_a_pod_has_the_pods_identity() {
    let pod = Pod::start();
    let sandbox = pod.container("POD");
    let address = pod.address();
    let service = Service::start(&sandbox, &address);
    has_identity(&pod, &address, &service);
}

#[test]
fn a_service_on_the_node_that_judges_by_source_address_knows_the_pod() {
    let pod = Pod::start();
    // As kube2iam: outside the pod, reached over the pod's own network.
    let agent = crate::support::Container::start(
        &format!("agent-{}", unique()),
        &["--tmpfs=/www"],
        "exec sleep 3600",
    );
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = Docker::output(&["inspect", "--format", format, agent.name()]).unwrap();
    let service = Service::start(agent.name(), &pod.address());
    has_identity(&pod, &address, &service);
}

/// The search of the engine's folder finds what it looks for when it is there.
#[test]
fn a_credential_that_does_stay_is_found() {
    let since = tempfile::NamedTempFile::new().unwrap();
    let secret = format!("leaked{}", unique());
    let container = crate::support::Container::start("leaks", &["--network=none"], "sleep 600");
    let write = format!("echo {secret} > /kept");
    Docker::output(&["exec", container.name(), "sh", "-c", &write]).unwrap();
    assert_ne!(
        engine_files_with(since.path(), &secret),
        Vec::<String>::new()
    );
}

#[test]
fn a_clouds_own_client_gets_its_credentials_in_a_step() {
    let made = finish(&mut Command::new(script("sdk.sh")), None, LIMIT * 3);
    assert!(made.success(), "{}", made.everything());
    let (base, tag) = (
        format!("bowline-test-sdk-{}", unique()),
        format!("bowline-test-client-{}", unique()),
    );
    Docker::output(&[
        "import",
        "--change",
        "ENV PATH=/usr/bin",
        made.stdout().trim(),
        &base,
    ])
    .unwrap();
    let pod = Pod::start();
    let sandbox = pod.container("POD");
    let service = Service::start(&sandbox, &pod.address());
    let python = format!(
        "import boto3, hashlib; c = boto3.Session().get_credentials(); assert c.method == 'iam-role', c.method; \
         assert hashlib.sha256(c.secret_key.encode()).hexdigest() == '{}'; print('the client has', c.access_key)",
        sha256(&service.secret)
    );
    let command = serde_json::to_string(&["python3", "-c", &python]).unwrap();
    // A service beside the pod must not be asked through a proxy, nor on this machine's own.
    pod.put(&Folder::new(&[(
        "Dockerfile",
        &format!(
            "FROM {base}\nARG AWS_EC2_METADATA_SERVICE_ENDPOINT\nENV NO_PROXY=*\nRUN {command}\n"
        ),
    )]));
    let endpoint = format!(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://{}:8181/",
        pod.address()
    );
    let words = [
        "build",
        "--progress=plain",
        "--no-cache",
        "--build-arg",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "--tag",
        &tag,
        "/src",
    ];
    let finished = pod.bowline_with(&[&endpoint], &words);
    assert!(finished.success(), "{}", finished.everything());
    assert!(
        finished
            .stderr
            .contains("the client has ASIATESTTESTTESTTEST"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains(&service.secret));
    Docker::remove_image(&tag);
    Docker::remove_image(&base);
}

fn sha256(text: &str) -> String {
    let digest = bowline::image::Digest::sha256(text.as_bytes()).to_string();
    digest.trim_start_matches("sha256:").to_owned()
}
