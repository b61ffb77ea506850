//! skaffold's contract for custom builds, carried out as skaffold's own code does it: a template
//! over the environment, `sh -c` in the context, its variables before those of the shell, one pipe
//! for all output, and a kill of the direct child alone.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::distribution::Distribution;
use crate::support::{Bowline, Docker, Folder, unique};

/// One build of an artifact, as skaffold starts it.
struct Artifact<'a> {
    command: &'a str,
    context: &'a Path,
    image: &'a str,
    push: bool,
    /// The environment that skaffold itself was started with, besides the test's.
    shell: &'a [(&'a str, &'a str)],
    /// Images of required artifacts by their alias.
    required: &'a [(&'a str, &'a str)],
}

impl Artifact<'_> {
    /// `{{.NAME}}` over the OS environment; a missing key becomes `<no value>`.
    fn expanded(&self, environment: &BTreeMap<String, String>) -> String {
        let mut text = self.command.to_owned();
        while let Some(start) = text.find("{{.") {
            let end = start + text[start..].find("}}").expect("a closed template");
            let value = environment.get(&text[start + 3..end]);
            let value = value.map_or("<no value>", String::as_str).to_owned();
            text.replace_range(start..end + 2, &value);
        }
        text
    }

    fn start(&self, bowline: &Bowline, shell: &str) -> Child {
        let base = bowline.command();
        let mut os: BTreeMap<String, String> = base
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?.into(), value?.to_str()?.into())))
            .collect();
        let program = Path::new(env!("CARGO_BIN_EXE_bowline")).parent().unwrap();
        let path = format!("{}:{}", program.display(), os["PATH"]);
        os.insert("PATH".into(), path);
        os.extend(
            self.shell
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let command = self.expanded(&os);
        let (repo, tag) = self.image.rsplit_once(':').unwrap();
        let mut variables: BTreeMap<String, String> = [
            ("IMAGE", self.image),
            ("PUSH_IMAGE", if self.push { "true" } else { "false" }),
            ("BUILD_CONTEXT", self.context.to_str().unwrap()),
            ("PLATFORMS", ""),
            ("SKIP_TEST", "false"),
            ("IMAGE_REPO", repo),
            ("IMAGE_TAG", tag),
        ]
        .iter()
        .chain(self.required)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
        // Last, so that it replaces what skaffold says.
        variables.extend(os);
        Command::new(shell)
            .args(["-c", &command])
            .current_dir(self.context)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell")
    }

    /// Runs it to its end; gives whether it succeeded, and all that it said.
    fn run(&self, bowline: &Bowline) -> (bool, String) {
        let child = self.start(bowline, "sh");
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        // Go's line scanner stops at a longer one, and skaffold hangs.
        assert!(
            said.lines()
                .all(|line| line.len() < 65_536 && !line.contains('\r'))
        );
        (output.status.success(), said)
    }
}

fn artifact<'a>(command: &'a str, context: &'a Path, image: &'a str) -> Artifact<'a> {
    Artifact {
        command,
        context,
        image,
        push: false,
        shell: &[],
        required: &[],
    }
}

#[test]
fn an_artifact_is_built_under_skaffolds_name() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[(
        "Dockerfile",
        "ARG BASE\nFROM $BASE AS one\nRUN printf %0200000d 7\nARG WHO\nRUN echo $WHO > /who\nFROM one AS two\nRUN false\n",
    )]);
    let image = format!("bowline-test-skaffold:v1-{}", unique());
    let mut artifact = artifact(
        "exec bowline skaffold --target one --build-arg BASE --build-arg WHO={{.CI_USER}} --no-cache",
        folder.path(),
        &image,
    );
    artifact.shell = &[("CI_USER", "jenkins")];
    artifact.required = &[("BASE", "busybox:latest")];
    let (success, said) = artifact.run(&bowline);
    assert!(success, "{said}");
    let got = Docker::output(&["run", "--rm", "--network=none", &image, "cat", "/who"]);
    assert_eq!(got.unwrap(), "jenkins");
    // The dev loop: skaffold removes the image before, with all its untagged parents.
    Docker::output(&["image", "rm", "--force", &image]).unwrap();
    let again = Artifact {
        command: "exec bowline skaffold --target one --build-arg BASE --build-arg WHO=jenkins",
        ..artifact
    };
    let (success, said) = again.run(&bowline);
    assert!(success, "{said}");
    assert!(said.lines().any(|line| line.ends_with(" CACHED")), "{said}");
    assert!(!said.contains("DONE 1"), "{said}");
    Docker::remove_image(&image);
}

#[test]
fn a_pushed_artifact_is_in_the_registry() {
    let registry = Distribution::start();
    let bowline = Bowline::new();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nLABEL pushed=yes\n")]);
    let image = format!("{}/team/app:v2", registry.address);
    let mut artifact = artifact("exec bowline skaffold", folder.path(), &image);
    artifact.push = true;
    let (success, said) = artifact.run(&bowline);
    assert!(success, "{said}");
    assert!(registry.digest("team/app", "v2").is_some(), "{said}");
    Docker::remove_image(&image);
}

#[test]
fn variables_that_are_not_skaffolds_are_named() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\n")]);
    let mut artifact = artifact("exec bowline skaffold", folder.path(), "app:v3");
    artifact.shell = &[("IMAGE_TAG", "old")];
    let (success, said) = artifact.run(&bowline);
    assert!(!success);
    assert_eq!(
        said,
        "error: `IMAGE` is `app:v3`, but `IMAGE_REPO` and `IMAGE_TAG` make `app:old`\n\
\x20|\n\x20= note: one of them was set where skaffold was started, and replaces skaffold's own\n\
         hint: start skaffold without it: `env -u IMAGE -u IMAGE_REPO -u IMAGE_TAG skaffold …`\n"
    );
    // In skaffold's own environment it can be told for certain.
    let skaffold = folder.path().join("skaffold");
    std::fs::copy("/bin/sh", &skaffold).unwrap();
    let mut child = Command::new(&skaffold);
    child
        .args(["-c", "sh -c 'exec bowline skaffold'; exit $?"])
        .env(
            "PATH",
            format!(
                "{}:/usr/bin:/bin",
                Path::new(env!("CARGO_BIN_EXE_bowline"))
                    .parent()
                    .unwrap()
                    .display()
            ),
        )
        .env("PUSH_IMAGE", "true")
        .env("IMAGE", "app:v4")
        .current_dir(folder.path());
    let finished = crate::support::finish(&mut child, None, crate::support::LIMIT);
    assert!(
        finished.stderr.starts_with("error: `IMAGE=app:v4` is not skaffold's: it was set where skaffold was started, and replaces skaffold's own\n"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_killed_shell_takes_the_build_with_it() {
    let bowline = Bowline::new();
    let mark = unique();
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN echo go{mark}; sleep 600\n"),
    )]);
    // dash stays between, and is the only one that is killed.
    for (signal, shell) in [("KILL", "dash"), ("TERM", "dash")] {
        let image = format!("bowline-test-killed:{mark}");
        let artifact = artifact(
            "bowline skaffold --progress=plain; true",
            folder.path(),
            &image,
        );
        let mut child = artifact.start(&bowline, shell);
        let mut pipe = child.stderr.take().unwrap();
        let mut said = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&said).contains(&format!(" go{mark}\n")) {
            let count = pipe.read(&mut piece).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&piece[..count]);
        }
        let pid = child.id().to_string();
        crate::support::shell(folder.path(), &format!("kill -{signal} {pid}"));
        child.wait().unwrap();
        // skaffold waits for the pipe to be closed: that is when the build has ended.
        let began = Instant::now();
        pipe.read_to_end(&mut said).unwrap();
        assert!(began.elapsed() < Duration::from_secs(30), "{signal}");
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("the process that wanted the image is gone"),
            "{said}"
        );
        let left = [
            "ps",
            "--all",
            "--quiet",
            "--no-trunc",
            "--filter",
            "label=bowline.build",
        ];
        let left = Docker::output(&left).unwrap();
        let running = left.lines().filter(|id| {
            Docker::output(&["top", id]).is_ok_and(|top| top.contains(&mark.to_string()))
        });
        assert_eq!(running.count(), 0, "{signal}");
    }
}

#[test]
fn dependencies_are_the_files_that_the_target_reads() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[
        (
            "build/Dockerfile",
            "FROM busybox AS unused\nCOPY never /\nFROM busybox AS app\nARG DIR=src\nCOPY $DIR /src/\nCOPY *.txt missing /t/\nADD <<EOF /inline\nx\nEOF\nCOPY --from=unused2 /a /\nFROM app\nCOPY --from=lib . /lib/\nRUN --mount=type=bind,source=mounted,target=/m true\n",
        ),
        ("build/Dockerfile.dockerignore", "src/skipped\n"),
        ("src/a.c", ""),
        ("src/deep/b.c", ""),
        ("src/skipped", ""),
        ("never", ""),
        ("one.txt", ""),
        ("two.txt", ""),
        ("other.md", ""),
        ("vendored/lib.c", ""),
        ("mounted/m.c", ""),
    ]);
    crate::support::shell(
        folder.path(),
        "sed -i /unused2/d build/Dockerfile; ln -s ../other.md src/link",
    );
    let words = "skaffold deps --file build/Dockerfile --build-context lib=vendored";
    // Split at single spaces, as skaffold does it, with no engine at all.
    let mut command = bowline.command();
    command
        .args(words.split(' '))
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .current_dir(folder.path());
    let finished = crate::support::finish(&mut command, None, crate::support::LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    assert_eq!(
        finished.stdout(),
        "[\"build/Dockerfile\",\"build/Dockerfile.dockerignore\",\"missing\",\"mounted/m.c\",\"one.txt\",\"src/a.c\",\"src/deep/b.c\",\"src/link\",\"two.txt\",\"vendored/lib.c\"]\n"
    );
}

#[test]
fn init_rewrites_the_file_and_prints_what_changes() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[(
        "skaffold.yaml",
        "apiVersion: skaffold/v4beta13\nkind: Config\nbuild:\n  artifacts:\n    - image: app # ours\n      docker:\n        target: prod\n",
    )]);
    let init = |flags: &[&str]| {
        let mut command = bowline.command();
        command
            .args(["skaffold", "init"])
            .args(flags)
            .current_dir(folder.path());
        crate::support::finish(&mut command, None, crate::support::LIMIT)
    };
    let read = || std::fs::read_to_string(folder.path().join("skaffold.yaml")).unwrap();
    let before = read();
    let diff = "--- skaffold.yaml\n+++ skaffold.yaml\n@@ -3,5 +3,7 @@\n build:\n   artifacts:\n     - image: app # ours\n-      docker:\n-        target: prod\n+      custom:\n+        buildCommand: exec bowline skaffold --target prod\n+        dependencies:\n+          command: bowline skaffold deps --target prod\n";
    assert_eq!(init(&["--dry-run"]).stdout(), diff);
    assert_eq!(read(), before);
    assert_eq!(init(&[]).stdout(), diff);
    let after = read();
    assert!(
        after.contains("exec bowline skaffold --target prod") && after.contains("# ours"),
        "{after}"
    );
    let again = init(&[]);
    assert_eq!(
        (again.stdout().as_str(), again.stderr.as_str()),
        ("", "note: `skaffold.yaml` has no artifact to change\n")
    );
}
