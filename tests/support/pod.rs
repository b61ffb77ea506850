//! A pod on a node whose engine is Docker, as kubelet makes one: a sandbox container that owns the
//! network, a container for the work that has joined it and has the engine's socket, and bowline
//! in that container.

use std::process::Command;

use super::{Docker, Finished, Folder, LIMIT, engine, finish, unique};

const UID: &str = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";

/// Everything that is made for it goes away with the test.
pub struct Pod {
    name: String,
    image: String,
}

impl Pod {
    pub fn start() -> Self {
        let name = format!("ci-{}", unique());
        let pod = Self {
            image: format!("bowline-test-pod-{}", unique()),
            name,
        };
        pod.make_image();
        pod.run(
            "POD",
            "podsandbox",
            &["--tmpfs=/www", "--hostname", &pod.name],
            "busybox",
        );
        let address = engine();
        let socket = address
            .strip_prefix("unix://")
            .expect("a pod's engine is reached by its socket");
        let sandbox =
            Docker::output(&["inspect", "--format", "{{.Id}}", &pod.container("POD")]).unwrap();
        let flags = [
            format!("--network=container:{sandbox}"),
            format!("--volume={socket}:/var/run/docker.sock"),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        pod.run("build", "container", &flags, &pod.image);
        pod
    }

    fn run(&self, container: &str, kind: &str, flags: &[&str], image: &str) {
        let name = self.container(container);
        let labels = [
            format!("--label=io.kubernetes.pod.name={}", self.name),
            "--label=io.kubernetes.pod.namespace=jenkins".to_owned(),
            format!("--label=io.kubernetes.pod.uid={UID}"),
            format!("--label=io.kubernetes.container.name={container}"),
            format!("--label=io.kubernetes.docker.type={kind}"),
        ];
        let mut words = vec!["run", "--detach", "--pull=never", "--name", &name];
        words.extend(labels.iter().map(String::as_str));
        words.extend(flags);
        words.extend([image, "sh", "-c", "exec sleep 3600"]);
        Docker::output(&words).unwrap();
    }

    /// As kubelet names a container of this pod.
    pub fn container(&self, container: &str) -> String {
        format!("k8s_{container}_{}_jenkins_{UID}_0", self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        Docker::output(&["inspect", "--format", format, &self.container("POD")]).unwrap()
    }

    /// Puts files into the container for the work, below `/src`.
    pub fn put(&self, folder: &Folder) {
        let from = format!("{}/.", folder.path().display());
        Docker::output(&["cp", &from, &format!("{}:/src/", self.container("build"))]).unwrap();
    }

    /// Runs bowline there.
    pub fn bowline(&self, arguments: &[&str]) -> Finished {
        self.bowline_with(&[], arguments)
    }

    /// With variables, too: `NAME=VALUE`.
    pub fn bowline_with(&self, variables: &[&str], arguments: &[&str]) -> Finished {
        let name = self.container("build");
        let mut words = vec!["exec"];
        words.extend(variables.iter().flat_map(|variable| ["--env", variable]));
        words.extend([name.as_str(), "bowline"]);
        words.extend(arguments);
        finish(Docker::command().args(words), None, LIMIT)
    }

    /// An image of busybox, the bowline under test and the libraries that it needs.
    fn make_image(&self) {
        let folder = Folder::new(&[]);
        let root = folder.path().join("root");
        let line = format!(
            "mkdir -p root/usr/local/bin root/src; strip -o root/usr/local/bin/bowline {}; \
             ldd {} | grep -o '/[^ ]*' | while read f; do mkdir -p root${{f%/*}}; cp -L $f root$f; done",
            env!("CARGO_BIN_EXE_bowline"),
            env!("CARGO_BIN_EXE_bowline"),
        );
        super::shell(folder.path(), &line);
        let words = ["create", "--pull=never", "busybox", "true"];
        let id = Docker::output(&words).unwrap();
        Docker::output(&["cp", &format!("{}/.", root.display()), &format!("{id}:/")]).unwrap();
        Docker::output(&["commit", &id, &self.image]).unwrap();
        Docker::output(&["rm", &id]).unwrap();
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for container in ["build", "POD"] {
            drop(Docker::run(&[
                "rm",
                "--force",
                "--volumes",
                &self.container(container),
            ]));
        }
        Docker::remove_image(&self.image);
    }
}

/// A credential service as nodes have one: it answers callers from one address and nobody else,
/// on port 8181, in memory alone.
pub struct Service<'a> {
    container: &'a str,
    pub secret: String,
}

/// Where the service has the credentials, as EC2 has them.
pub const ROLES: &str = "latest/meta-data/iam/security-credentials/";

impl<'a> Service<'a> {
    /// Starts it in a container with a tmpfs at `/www`.
    pub fn start(container: &'a str, only: &str) -> Self {
        let secret = format!("wJalr{}x{}", unique(), std::process::id());
        let body = format!(
            r#"{{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"ASIATESTTESTTESTTEST","SecretAccessKey":"{secret}","Token":"t-{secret}","Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        let script = format!(
            "mkdir -p /www/{ROLES}; echo -n builder > /www/{ROLES}index.html; cat > /www/{ROLES}builder; \
             printf 'A:{only}\\nD:*\\n' > /www/conf; httpd -p 8181 -h /www -c /www/conf"
        );
        let words = ["exec", "--interactive", container, "sh", "-ec", &script];
        let finished = finish(
            Docker::command().args(words),
            Some(body.into_bytes()),
            LIMIT,
        );
        assert!(finished.success(), "{}", finished.everything());
        Self { container, secret }
    }

    /// The digest of the answer, which tells whether somebody got it without showing it.
    pub fn digest(&self) -> String {
        let file = format!("/www/{ROLES}builder");
        let sum = Docker::output(&["exec", self.container, "sha256sum", &file]).unwrap();
        sum[..64].to_owned()
    }
}

/// The files of the engine's own data folder that have changed since `since` was written and
/// hold these bytes.
pub fn engine_files_with(since: &std::path::Path, bytes: &str) -> Vec<String> {
    let root = Docker::output(&["info", "--format", "{{.DockerRootDir}}"]).unwrap();
    let mut command = Command::new("find");
    command
        .arg(&root)
        .args(["-xdev", "-type", "f", "-newer"])
        .arg(since)
        .args(["-size", "-4M", "-exec", "grep", "-lF", bytes, "{}", "+"]);
    let finished = finish(&mut command, None, LIMIT);
    // Files of other containers come and go while this looks.
    finished.stdout().lines().map(str::to_owned).collect()
}
