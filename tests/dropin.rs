//! A drop-in: build commands of well-known projects (`fixtures/dropin`), run unchanged with the
//! docker CLI and BuildKit, and with a `docker` that is bowline. Both must give the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::conformance::described;
use crate::support::distribution::Distribution;
use crate::support::{Bowline, Docker, Finished, LIMIT, engine_name, finish, root, script, unique};

macro_rules! projects {
    ($($name:ident: $folder:literal)*) => {
        const PROJECTS: &[&str] = &[$($folder),*];

        $(
            #[test]
            fn $name() {
                same($folder);
            }
        )*
    };
}

projects! {
    airflow: "airflow"
    argo_cd: "argo-cd"
    auto_devops: "auto-devops"
    build_push_action: "build-push-action"
    ingress_nginx: "ingress-nginx"
    kubernetes: "kubernetes"
    legacy_flags: "legacy-flags"
    nginx_plus: "nginx-plus"
    official_images: "official-images"
    prometheus: "prometheus"
    pytorch: "pytorch"
    vllm: "vllm"
}

#[test]
fn every_folder_is_a_test() {
    let folders = fs::read_dir(fixtures()).unwrap().flatten();
    let folders = folders.filter(|entry| entry.path().is_dir());
    let mut folders: Vec<_> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, PROJECTS);
}

fn fixtures() -> PathBuf {
    root().join("fixtures/dropin")
}

fn same(project: &str) {
    let command = fs::read_to_string(fixtures().join(project).join("command")).unwrap();
    let scene = Scene::new(&command);
    let bowline = Bowline::new();
    let ours = format!(
        "#!/bin/sh\nif [ \"$1\" = buildx ]; then shift; fi\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_bowline")
    );
    let ours = scene.run(project, &command, &ours, &bowline);
    assert!(ours.success, "{}", ours.words);
    assert!(
        !ours.images.is_empty() || !ours.files.is_empty(),
        "{project}"
    );
    // Only newer engines have a reference, and one with a graph driver writes no archives.
    let archive = command.contains("type=oci");
    if !has_reference() || archive && engine_name() != "28-containerd" {
        return;
    }
    let reference = format!(
        "#!/bin/sh\nexport BUILDX_NO_DEFAULT_ATTESTATIONS=1\nexec {} docker {} \"$@\"\n",
        script("engine.sh").display(),
        engine_name()
    );
    let theirs = scene.run(project, &command, &reference, &bowline);
    assert!(theirs.success, "{}", theirs.words);
    assert_eq!(theirs.stdout, ours.stdout, "standard output of {project}");
    for (tag, image) in &theirs.images {
        let got = ours.images.get(tag);
        let (expected, got) = (pretty(image), got.map_or(String::new(), pretty));
        assert_eq!(expected, got, "the image {tag} of {project}");
    }
    assert_eq!(names(&theirs.images), names(&ours.images), "{project}");
    assert_eq!(theirs.files, ours.files, "files of {project}");
}

fn names(images: &BTreeMap<String, Value>) -> Vec<&String> {
    images.keys().collect()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn has_reference() -> bool {
    engine_name().starts_with("28-")
}

/// Notes the words that `docker` is called with.
const NOTE: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$WORDS\"\n";

/// The names that a command gives.
fn tags(words: &str) -> Vec<String> {
    let mut words = words.lines();
    let mut tags = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word, "-t" | "--tag") {
            tags.extend(words.next().map(str::to_owned));
        }
    }
    tags
}

/// What the commands are run in.
struct Scene {
    /// Holds the base image of commands that name one.
    registry: Option<Distribution>,
    tag: String,
}

/// What came of a command, as far as it is the same again.
struct Came {
    success: bool,
    stdout: String,
    words: String,
    /// By their names, without what differs by chance.
    images: BTreeMap<String, Value>,
    files: BTreeMap<String, Value>,
}

impl Scene {
    fn new(command: &str) -> Self {
        let scene = Self {
            registry: command.contains("$BASE").then(Distribution::start),
            tag: format!("t{}", unique()),
        };
        if let Some(base) = scene.base() {
            Docker::output(&["tag", "busybox:latest", &base]).unwrap();
            Docker::output(&["push", &base]).unwrap();
        }
        scene
    }

    fn base(&self) -> Option<String> {
        let registry = self.registry.as_ref()?;
        Some(format!("{}/base:1", registry.address))
    }

    /// Runs a command where `docker` is this program.
    fn run(&self, project: &str, command: &str, docker: &str, bowline: &Bowline) -> Came {
        let dir = TempDir::new().unwrap();
        let (work, out, bin) = (
            dir.path().join("work"),
            dir.path().join("out"),
            dir.path().join("bin"),
        );
        copy(&fixtures().join(project), &work);
        for made in [&out, &bin] {
            fs::create_dir(made).unwrap();
        }
        let program = bin.join("docker");
        let words = dir.path().join("words");
        let docker = docker.replace("#!/bin/sh\n", NOTE);
        fs::write(&program, docker).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = bowline.command();
        // The environment is the one of bowline's tests; only the program is another.
        let environment: Vec<_> = shell
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        shell = Command::new("sh");
        shell
            .env_clear()
            .envs(environment)
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("TAG", &self.tag)
            .env("OUT", &out)
            .env("WORDS", &words)
            .env("REGISTRY", "registry.example")
            .env("DOCKER_REPO", "quay.example/prometheus")
            .env("image", "pytorch-linux")
            .envs(self.base().map(|base| ("BASE", base)))
            .args(["-c", command])
            .current_dir(&work);
        if let Some(home) = std::env::var_os("BOWLINE_ENGINE_HOME") {
            shell.env("BOWLINE_ENGINE_HOME", home);
        }
        let finished = finish(&mut shell, None, LIMIT);
        let words = fs::read_to_string(&words).unwrap();
        self.look(&finished, &out, &tags(&words))
    }

    fn look(&self, finished: &Finished, out: &Path, tags: &[String]) -> Came {
        let mut images = BTreeMap::new();
        for name in tags {
            // What only went to a file is not in the engine.
            if let Ok(image) = Docker::save(name) {
                images.insert(name.replace(&self.tag, "TAG"), described(&image).unwrap());
            }
            Docker::remove_image(name);
        }
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(out).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let content = fs::read(entry.path()).unwrap();
            files.insert(name.clone(), self.file(&name, &content));
        }
        Came {
            success: finished.success(),
            stdout: self.plain(&finished.stdout()),
            words: finished.everything(),
            images,
            files,
        }
    }

    fn file(&self, name: &str, content: &[u8]) -> Value {
        if name.ends_with(".tar") {
            return self.archive(content);
        }
        let text = String::from_utf8(content.to_vec()).unwrap();
        if !name.ends_with(".json") {
            return json!(self.plain(&text));
        }
        let mut value: Value = serde_json::from_str(&text).unwrap();
        // With a graph driver BuildKit makes up a digest for an image that no registry has.
        let materials = value["buildx.build.provenance"]["materials"].as_array_mut();
        for material in materials.into_iter().flatten() {
            material["digest"] = json!(material["digest"]["sha256"].is_string());
        }
        value["buildx.build.ref"] = json!(value["buildx.build.ref"].is_string());
        let descriptor = &mut value["containerimage.descriptor"];
        if descriptor.is_object() {
            // Engines are given OCI's types, BuildKit gives them Docker's.
            descriptor["size"] = json!(descriptor["size"].is_u64());
            descriptor["mediaType"] = json!(descriptor["mediaType"].is_string());
        }
        serde_json::from_str(&self.plain(&value.to_string())).unwrap()
    }

    /// Of an OCI layout: what its index says, and the image's config.
    fn archive(&self, content: &[u8]) -> Value {
        let files = crate::outputs::contents(content);
        let read = |name: &str| -> Value { serde_json::from_slice(&files[name]).unwrap() };
        let blob = |digest: &Value| {
            let hex = digest.as_str().unwrap().trim_start_matches("sha256:");
            read(&format!("blobs/sha256/{hex}"))
        };
        let index = read("index.json");
        let manifest = blob(&index["manifests"][0]["digest"]);
        let config = blob(&manifest["config"]["digest"]);
        let mut described = index["manifests"][0].clone();
        described["size"] = json!(0);
        let all = json!({
            "described": described,
            "annotations": manifest["annotations"],
            "layers": manifest["layers"].as_array().unwrap().len(),
            "config": config["config"],
            "created": config["created"],
            "history": config["history"],
        });
        serde_json::from_str(&self.plain(&all.to_string())).unwrap()
    }

    /// Without what is another one each time.
    fn plain(&self, text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("sha256:") {
            let end = after
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(after.len());
            plain += before;
            plain += "sha256:…";
            rest = &after[end..];
        }
        plain += rest;
        plain.replace(&self.tag, "TAG")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(base) = self.base() {
            Docker::remove_image(&base);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success(), "{}", from.display());
}
