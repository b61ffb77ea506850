//! Results that are files: directories, archives, OCI layouts; and that they are the same again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish, shell, unique};

const FILES: &str = "FROM busybox AS build
COPY src /d/
RUN mkdir -p /x/y && echo one > /x/y/one && ln /x/y/one /x/two && chmod 4751 /x/two && mkfifo /x/p && chown -R 5:6 /x && rm /d/f && mkdir /d2 && echo t > /d2/t
RUN rm -rf /d2 && echo z > /d2
FROM scratch
COPY --from=build /x /x
COPY --from=build /d /d
COPY --from=build /d2 /d2
";

fn folder(dockerfile: &str) -> Folder {
    let folder = Folder::new(&[
        ("Dockerfile", dockerfile),
        ("src/f", "f"),
        ("src/keep", "kept"),
    ]);
    shell(
        folder.path(),
        "ln -s f src/l; chmod 600 src/keep; touch -d @1600000000 src/f src/keep src",
    );
    folder
}

fn build(folder: &Folder, flags: &[&str]) -> Finished {
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command.args(["build", "--progress=plain"]).args(flags);
    command.arg(".").current_dir(folder.path());
    finish(&mut command, None, LIMIT)
}

fn built(folder: &Folder, flags: &[&str]) -> Finished {
    let finished = build(folder, flags);
    assert!(finished.success(), "{}", finished.everything());
    finished
}

/// The same flags with the BuildKit of an engine that `tests/engine.sh` provides.
fn buildkit(folder: &Folder, flags: &[&str]) -> bool {
    let engine = crate::support::engine_name();
    if engine == "debian" || engine == "own" {
        return false;
    }
    let mut command = std::process::Command::new(crate::support::script("engine.sh"));
    command
        .args([
            "docker",
            &engine,
            "buildx",
            "build",
            "--quiet",
            "--provenance=false",
        ])
        .args(flags)
        .arg(".")
        .current_dir(folder.path());
    let finished = finish(&mut command, None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    true
}

/// Names, kinds, modes, links and contents of what is in a directory.
fn listing(dir: &Path) -> String {
    let mut command = std::process::Command::new("sh");
    command.current_dir(dir).args([
        "-c",
        "find . -printf '%M %n %U:%G %p %l\\n' | sort -k4; find . -type f -exec md5sum {} + | sort -k2",
    ]);
    let finished = finish(&mut command, None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    finished.stdout()
}

/// Names, kinds, modes, owners and links of an archive's entries.
fn entries(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            format!(
                "{} {:?} {:o} {}:{} {:?}",
                String::from_utf8_lossy(&entry.path_bytes()),
                header.entry_type(),
                header.mode().unwrap() & 0o7777,
                header.uid().unwrap(),
                header.gid().unwrap(),
                entry
                    .link_name_bytes()
                    .map(|name| String::from_utf8_lossy(&name).into_owned()),
            )
        })
        .collect()
}

/// The files of an archive.
pub fn contents(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(name, content);
    }
    files
}

fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, digest: &Value) -> &'a [u8] {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    &files[&format!("blobs/sha256/{hex}")]
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn files_are_what_buildkit_writes() {
    let folder = folder(FILES);
    built(&folder, &["-o", "ours", "-o", "type=tar,dest=ours.tar"]);
    let tree = listing(&folder.path().join("ours"));
    assert!(tree.contains("-rwxr-x--x 2"), "{tree}");
    if buildkit(&folder, &["-o", "theirs"]) {
        assert_eq!(tree, listing(&folder.path().join("theirs")));
        buildkit(&folder, &["-o", "type=tar,dest=theirs.tar"]);
        let read = |name| fs::read(folder.path().join(name)).unwrap();
        assert_eq!(entries(&read("ours.tar")), entries(&read("theirs.tar")));
    }
    let streamed = built(&folder, &["-o", "-"]);
    assert_eq!(
        streamed.stdout,
        fs::read(folder.path().join("ours.tar")).unwrap()
    );
}

#[test]
fn a_directory_keeps_what_it_has_and_its_links_are_not_followed() {
    let folder = folder("FROM scratch\nCOPY src /d/\nCOPY src/f /g\n");
    let outside = Folder::new(&[("f", "outside"), ("g", "outside")]);
    let line = format!(
        "mkdir -p out/other out/g/sub; echo mine > out/other/file; ln -s {0} out/d; ln -s {0}/g out/h",
        outside.path().display()
    );
    shell(folder.path(), &line);
    built(&folder, &["-o", "out"]);
    let out = folder.path().join("out");
    assert_eq!(
        fs::read_to_string(out.join("other/file")).unwrap(),
        "mine\n"
    );
    assert_eq!(fs::read_to_string(out.join("d/f")).unwrap(), "f");
    assert_eq!(fs::read_to_string(out.join("g")).unwrap(), "f");
    assert!(out.join("d").symlink_metadata().unwrap().is_dir());
    assert_eq!(
        fs::read_to_string(outside.path().join("f")).unwrap(),
        "outside"
    );
    let refused = build(&folder, &["-o", "type=local,dest=out,mode=delete"]);
    assert!(
        refused.stderr.contains("--allow fs.write"),
        "{}",
        refused.stderr
    );
    assert!(out.join("other").exists());
    let delete = [
        "-o",
        "type=local,dest=out,mode=delete",
        "--allow",
        "fs.write=out",
    ];
    built(&folder, &delete);
    assert!(!out.join("other").exists());
    assert_eq!(fs::read_to_string(out.join("g")).unwrap(), "f");
}

#[test]
fn a_failed_output_leaves_the_old_file_and_names_nothing() {
    let folder = folder("FROM scratch\nCOPY src /d/\n");
    fs::write(folder.path().join("old.tar"), "old").unwrap();
    let name = format!("bowline-test-half-{}", unique());
    let failed = build(
        &folder,
        &[
            "-t",
            &name,
            "--load",
            "-o",
            "type=oci,dest=old.tar",
            "-o",
            "type=tar,dest=no/such/dir.tar",
        ],
    );
    assert!(!failed.success(), "{}", failed.everything());
    assert!(Docker::output(&["image", "inspect", &name]).is_err());
    let failed = build(&folder, &["-o", "type=tar,dest=src"]);
    assert!(!failed.success(), "{}", failed.everything());
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".bowline"))
        .collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn an_oci_layout_has_everything_by_its_digest() {
    let folder = folder("FROM busybox\nCOPY src /d/\nLABEL a=b\n");
    let name = "type=oci,dest=a.tar,annotation.x=y,annotation-manifest-descriptor.d=e";
    built(
        &folder,
        &[
            "-t",
            "one:1",
            "-t",
            "two",
            "-o",
            name,
            "-o",
            "type=oci,tar=false,dest=layout",
            "--metadata-file",
            "m.json",
            "--annotation",
            "org.z=w",
        ],
    );
    let files = contents(&fs::read(folder.path().join("a.tar")).unwrap());
    let index = json(&files["index.json"]);
    let names: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["annotations"]["io.containerd.image.name"].clone())
        .collect();
    assert_eq!(
        names,
        ["docker.io/library/one:1", "docker.io/library/two:latest"]
    );
    assert_eq!(index["manifests"][0]["annotations"]["d"], "e");
    assert_eq!(
        index["manifests"][0]["platform"],
        json!({ "architecture": std_arch(), "os": "linux" })
    );
    let manifest = json(blob(&files, &index["manifests"][0]["digest"]));
    assert_eq!(manifest["annotations"], json!({ "org.z": "w", "x": "y" }));
    let config = json(blob(&files, &manifest["config"]["digest"]));
    assert_eq!(config["config"]["Labels"], json!({ "a": "b" }));
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(
        layers.len(),
        config["rootfs"]["diff_ids"].as_array().unwrap().len()
    );
    for (layer, diff_id) in layers
        .iter()
        .zip(config["rootfs"]["diff_ids"].as_array().unwrap())
    {
        let bytes = blob(&files, &layer["digest"]);
        assert_eq!(layer["size"], bytes.len());
        assert_eq!(
            layer["digest"],
            bowline::image::Digest::sha256(bytes).as_str()
        );
        assert_eq!(
            layer["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes)
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(*diff_id, bowline::image::Digest::sha256(&plain).as_str());
    }
    let told = json(&fs::read(folder.path().join("m.json")).unwrap());
    let layout = json(&fs::read(folder.path().join("layout/index.json")).unwrap());
    assert_eq!(
        told["containerimage.digest"],
        layout["manifests"][0]["digest"]
    );
    assert_eq!(
        told["containerimage.descriptor"]["digest"],
        told["containerimage.digest"]
    );
    assert_eq!(
        told["image.name"],
        "docker.io/library/one:1,docker.io/library/two:latest"
    );
    // BuildKit builds from what we wrote, where it takes layouts.
    if crate::support::engine_name() != "28-containerd" {
        return;
    }
    let using = Folder::new(&[("Dockerfile", "FROM base\nCOPY --from=base /d/f /again\n")]);
    let layout = folder.path().join("layout");
    let context = format!("base=oci-layout://{}:1", layout.display());
    if buildkit(
        &using,
        &["--build-context", &context, "-o", "out", "--no-cache"],
    ) {
        assert_eq!(
            fs::read_to_string(using.path().join("out/again")).unwrap(),
            "f"
        );
    }
}

fn std_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn compressions_differ_in_bytes_and_not_in_content() {
    let folder = folder("FROM busybox\nCOPY src /d/\n");
    let mut diff_ids = Vec::new();
    for (compression, suffix) in [("gzip", "+gzip"), ("zstd", "+zstd"), ("uncompressed", "")] {
        let output = format!(
            "type=oci,dest=a.tar,force-compression=true,compression={compression},compression-level=3"
        );
        built(&folder, &["-o", &output]);
        let files = contents(&fs::read(folder.path().join("a.tar")).unwrap());
        let index = json(&files["index.json"]);
        let manifest = json(blob(&files, &index["manifests"][0]["digest"]));
        for layer in manifest["layers"].as_array().unwrap() {
            let expected = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
            assert_eq!(layer["mediaType"], expected);
        }
        diff_ids.push(json(blob(&files, &manifest["config"]["digest"]))["rootfs"].clone());
    }
    assert_eq!(diff_ids[0], diff_ids[1]);
    assert_eq!(diff_ids[0], diff_ids[2]);
}

#[test]
fn a_docker_archive_can_be_loaded() {
    let name = format!("bowline-test-load-{}:1", unique());
    let folder = folder("FROM busybox\nCOPY src /d/\nCMD [\"cat\", \"/d/f\"]\n");
    built(&folder, &["-t", &name, "-o", "type=docker,dest=a.tar"]);
    assert!(Docker::output(&["image", "inspect", &name]).is_err());
    let archive = folder.path().join("a.tar");
    Docker::output(&["load", "--input", archive.to_str().unwrap()]).unwrap();
    let said = Docker::output(&["run", "--rm", "--network=none", &name]);
    Docker::remove_image(&name);
    assert_eq!(said.unwrap(), "f");
}

#[test]
fn the_same_inputs_give_the_same_digest() {
    let mut digests = Vec::new();
    let name = format!("bowline-test-same-{}:1", unique());
    for run in 0..2 {
        let folder = folder(
            "FROM busybox\nWORKDIR /w/x\nCOPY src /d/\n\
             RUN mkdir -p /x/y && echo one > /x/y/one && ln /x/y/one /x/two && rm /d/f\n\
             RUN echo more >> /etc/passwd\nLABEL a=b\n",
        );
        // Younger than the epoch, and of another time in each run.
        shell(
            folder.path(),
            &format!("touch -d @{} src/f", 1_800_000_000 + run),
        );
        let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--no-cache"];
        let image = format!("type=image,name={name},rewrite-timestamp=true");
        let outputs = [
            "-o",
            "type=oci,dest=a.tar,rewrite-timestamp=true",
            "-o",
            &image,
        ];
        built(&folder, &[&epoch[..], &outputs[..]].concat());
        let files = contents(&fs::read(folder.path().join("a.tar")).unwrap());
        let index = json(&files["index.json"]);
        let manifest = &index["manifests"][0];
        assert_eq!(
            manifest["annotations"]["org.opencontainers.image.created"],
            "2023-11-14T22:13:20Z"
        );
        let config = json(blob(
            &files,
            &json(blob(&files, &manifest["digest"]))["config"]["digest"],
        ));
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        let saved = Docker::save(&name).unwrap();
        assert_eq!(saved.config["rootfs"], config["rootfs"]);
        let id = Docker::output(&["image", "inspect", "--format", "{{.Id}}", &name]).unwrap();
        let newest = saved.layers.iter().skip(1).flat_map(|layer| {
            let mut archive = tar::Archive::new(&layer[..]);
            let times = archive
                .entries()
                .unwrap()
                .map(|entry| entry.unwrap().header().mtime().unwrap());
            times.collect::<Vec<_>>()
        });
        assert_eq!(newest.max(), Some(1_700_000_000));
        digests.push((manifest["digest"].clone(), id));
        Docker::remove_image(&name);
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn what_an_engine_cannot_do_is_said_before_anything_is_built() {
    let folder = folder("FROM busybox\nRUN touch /never\n");
    for (flags, expected) in [
        (
            &["--annotation", "a=b"][..],
            "an image in the engine cannot be given annotations",
        ),
        (
            &["-o", "type=image,compression=zstd"],
            "an image in the engine cannot be given `compression`",
        ),
        (
            &["-o", "type=oci,dest=x", "--annotation", "index:a=b"],
            "the annotations of an index need several platforms",
        ),
        (
            &["-o", "type=oci,dest=x,oci-mediatype=true"],
            "there is no option `oci-mediatype`",
        ),
        (
            &["-o", "type=docker,dest=-", "-o", "-"],
            "only one output can go to standard output",
        ),
    ] {
        let refused = build(&folder, flags);
        assert!(!refused.success());
        assert!(
            refused.stderr.contains(expected),
            "{flags:?}: {}",
            refused.stderr
        );
        assert!(
            !refused.stderr.contains("touch /never"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn several_platforms_are_an_index() {
    let folder = folder(
        "FROM --platform=$BUILDPLATFORM busybox AS build\nARG TARGETPLATFORM BUILDPLATFORM\n\
         RUN echo \"$BUILDPLATFORM for $TARGETPLATFORM\" > /said\n\
         FROM scratch\nCOPY --from=build /said /\nARG TARGETARCH\nLABEL arch=$TARGETARCH\n",
    );
    let platforms = "--platform=linux/arm64,linux/amd64";
    built(
        &folder,
        &[
            platforms,
            "-o",
            "type=oci,dest=a.tar",
            "-o",
            "ours",
            "-o",
            "type=tar,dest=ours.tar",
            "--metadata-file",
            "m.json",
            "--annotation",
            "index,manifest[linux/arm64]:x=y",
        ],
    );
    let files = contents(&fs::read(folder.path().join("a.tar")).unwrap());
    let top = json(&files["index.json"])["manifests"][0].clone();
    assert_eq!(top["mediaType"], "application/vnd.oci.image.index.v1+json");
    let told = json(&fs::read(folder.path().join("m.json")).unwrap());
    assert_eq!(told["containerimage.digest"], top["digest"]);
    assert_eq!(told["containerimage.config.digest"], Value::Null);
    let index = json(blob(&files, &top["digest"]));
    assert_eq!(index["annotations"], json!({ "x": "y" }));
    for (entry, arch) in index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["arm64", "amd64"])
    {
        assert_eq!(
            entry["platform"],
            json!({ "architecture": arch, "os": "linux" })
        );
        let manifest = json(blob(&files, &entry["digest"]));
        let annotations = if arch == "arm64" {
            json!({ "x": "y" })
        } else {
            Value::Null
        };
        assert_eq!(manifest["annotations"], annotations);
        let config = json(blob(&files, &manifest["config"]["digest"]));
        assert_eq!(config["architecture"], arch);
        assert_eq!(config["config"]["Labels"]["arch"], arch);
    }
    let said = fs::read_to_string(folder.path().join("ours/linux_arm64/said")).unwrap();
    assert_eq!(said, format!("linux/{} for linux/arm64\n", std_arch()));
    // BuildKit in an engine builds several platforms only with the containerd store.
    if crate::support::engine_name() == "28-containerd" {
        buildkit(&folder, &[platforms, "-o", "theirs"]);
        let ours = listing(&folder.path().join("ours"));
        assert_eq!(ours, listing(&folder.path().join("theirs")));
        buildkit(&folder, &[platforms, "-o", "type=tar,dest=theirs.tar"]);
        let read = |name| fs::read(folder.path().join(name)).unwrap();
        assert_eq!(entries(&read("ours.tar")), entries(&read("theirs.tar")));
    }
    let refused = build(&folder, &[platforms, "-t", "x"]);
    assert!(
        refused
            .stderr
            .contains("an engine takes one platform at a time"),
        "{}",
        refused.stderr
    );
}
