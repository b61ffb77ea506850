use std::io::{self, Read as _};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::read::TarReader;
use super::*;
use crate::context::entry::Mtime;

fn file(path: &str, size: u64) -> Entry {
    Entry {
        size,
        ..Entry::new(path, Kind::File, 0o644)
    }
}

fn written(entries: &[(Entry, Vec<Xattr>, Vec<u8>)], fractions: bool) -> (Vec<u8>, LayerDigest) {
    let mut layer = LayerWriter::new(Vec::new());
    if fractions {
        layer = layer.with_fractions();
    }
    for (entry, xattrs, content) in entries {
        layer
            .add_file(entry, xattrs, &mut content.as_slice())
            .expect("written");
    }
    layer.finish().expect("finished")
}

/// One of everything, with values at the edges of what a header holds.
fn everything() -> Vec<(Entry, Vec<Xattr>, Vec<u8>)> {
    let long = "d/".to_owned() + &"n".repeat(150);
    let deep = "deep/".repeat(60) + "file";
    let cut_at_slash = "x".repeat(99) + "/" + "y";
    let time = |secs, nanos| Mtime { secs, nanos };
    let mut all = vec![
        (
            Entry {
                mtime: time(1, 0),
                ..Entry::new("d", Kind::Dir, 0o1777)
            },
            vec![],
            vec![],
        ),
        (
            Entry {
                uid: 7,
                gid: 8,
                ..file("d/plain", 5)
            },
            vec![],
            b"hello".to_vec(),
        ),
        (
            Entry {
                mode: 0o6755,
                ..file("d/block", 512)
            },
            vec![],
            vec![1; 512],
        ),
        (file("empty", 0), vec![], vec![]),
        (file(&long, 1), vec![], b"x".to_vec()),
        (file(&deep, 1), vec![], b"x".to_vec()),
        (file(&cut_at_slash, 1), vec![], b"x".to_vec()),
        (file("gr\u{fc}n", 1), vec![], b"x".to_vec()),
        (
            file(&crate::context::name::from_bytes(b"latin\xff"), 1),
            vec![],
            b"x".to_vec(),
        ),
        (
            Entry {
                uid: u32::MAX - 1,
                gid: 0o1000_0000,
                ..file("ids", 1)
            },
            vec![],
            b"x".to_vec(),
        ),
        (
            Entry {
                mtime: time(-146_940_711, 0),
                ..file("old", 1)
            },
            vec![],
            b"x".to_vec(),
        ),
        (
            Entry {
                mtime: time(1 << 34, 0),
                ..file("late", 1)
            },
            vec![],
            b"x".to_vec(),
        ),
        (
            Entry {
                mtime: time(9, 25),
                ..file("fraction", 1)
            },
            vec![],
            b"x".to_vec(),
        ),
        (
            Entry {
                mtime: time(-2, 500_000_000),
                ..file("both", 1)
            },
            vec![],
            b"x".to_vec(),
        ),
        (
            Entry::new("link", Kind::Symlink("../to".into()), 0o777),
            vec![],
            vec![],
        ),
        (
            Entry::new("far", Kind::Symlink("t".repeat(200)), 0o777),
            vec![],
            vec![],
        ),
        (
            Entry::new("same", Kind::Hardlink("d/plain".into()), 0o644),
            vec![],
            vec![],
        ),
        (Entry::new("pipe", Kind::Fifo, 0o640), vec![], vec![]),
        (
            Entry::new("null", Kind::Char { major: 1, minor: 3 }, 0o666),
            vec![],
            vec![],
        ),
        (
            Entry::new(
                "disk",
                Kind::Block {
                    major: 259,
                    minor: 65_537,
                },
                0o660,
            ),
            vec![],
            vec![],
        ),
    ];
    let xattrs = vec![
        (
            "security.capability".to_owned(),
            vec![1, 0, 0, 2, 0, b'\n', b'='],
        ),
        ("user.empty".to_owned(), vec![]),
    ];
    all.push((file("capable", 1), xattrs, b"x".to_vec()));
    all
}

#[test]
fn what_is_written_is_read_again() {
    for fractions in [false, true] {
        let (bytes, digest) = written(&everything(), fractions);
        assert_eq!(digest.size, bytes.len() as u64);
        assert_eq!(digest.diff_id, Digest::sha256(&bytes));
        let mut archive = TarReader::new(bytes.as_slice());
        for (mut entry, xattrs, content) in everything() {
            let header = archive.next().expect("valid").expect("an entry");
            if entry.is_dir() {
                entry.path.push('/');
            }
            if !fractions {
                entry.mtime.nanos = 0;
            }
            assert_eq!(header.entry, entry);
            assert_eq!(header.xattrs, xattrs);
            let mut found = Vec::new();
            archive.read_to_end(&mut found).expect("content");
            assert_eq!(found, content, "{}", entry.path);
        }
        assert_eq!(archive.next().expect("valid"), None);
    }
}

/// The digest is that of `COPY . /` of these files, by BuildKit in Docker Engine 28.5.2, with
/// the overlay2 store and with containerd's.
#[test]
fn the_layer_that_buildkit_makes() {
    let at = |secs, entry: Entry| Entry {
        mtime: Mtime { secs, nanos: 5 },
        ..entry
    };
    let (then, far) = (1_000_000_000, (1 << 33) + 5);
    let link =
        |path: &str, target: &str| at(then, Entry::new(path, Kind::Symlink(target.into()), 0o777));
    let long = "n".repeat(120);
    let (f, g) = (
        file("d/f", 7),
        Entry::new("d/g", Kind::Hardlink("d/f".into()), 0o4755),
    );
    let long_file = file(&format!("{long}/long"), 600);
    let entries = [
        (at(far, Entry::new("d", Kind::Dir, 0o755)), ""),
        (at(then, Entry { mode: 0o4755, ..f }), "content"),
        (at(then, g), ""),
        (link("d/l", "f"), ""),
        (at(-6, Entry::new("d/sub", Kind::Dir, 0o1777)), ""),
        (
            at(
                then,
                Entry {
                    mode: 0o600,
                    ..file("gr\u{fc}n", 0)
                },
            ),
            "",
        ),
        (at(far, Entry::new(&*long, Kind::Dir, 0o711)), ""),
        (at(then, long_file), &*"x".repeat(600)),
        (link("z", &"t".repeat(101)), ""),
    ];
    let entries = entries.map(|(entry, content)| (entry, vec![], content.as_bytes().to_vec()));
    let (_, digest) = written(&entries, false);
    let buildkit = "sha256:a10f0bdcf0fc1bd9100e48d1da688a0e5837f8268e8dd1423ff15dc960c8767f";
    assert_eq!(digest.diff_id.as_str(), buildkit);
}

#[test]
fn the_tar_crate_agrees() {
    let (bytes, _) = written(&everything(), false);
    let mut archive = ::tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().expect("an archive");
    let names: Vec<Vec<u8>> = entries
        .map(|entry| entry.expect("valid").path_bytes().into_owned())
        .collect();
    let expected: Vec<Vec<u8>> = everything()
        .iter()
        .map(|(entry, ..)| {
            let slash = if entry.is_dir() { "/" } else { "" };
            [
                &*crate::context::name::to_bytes(&entry.path),
                slash.as_bytes(),
            ]
            .concat()
        })
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn the_machine_s_tar_agrees() {
    let entries: Vec<_> = everything()
        .into_iter()
        .filter(|(entry, ..)| !matches!(entry.kind, Kind::Char { .. } | Kind::Block { .. }))
        .filter(|(entry, ..)| entry.uid < 10_000 && !entry.path.contains("latin"))
        .collect();
    let (bytes, _) = written(&entries, true);
    let list = Command::new("tar")
        .args([
            "--list",
            "--verbose",
            "--full-time",
            "--numeric-owner",
            "--utc",
            "-f",
            "-",
        ])
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut list) = list else { return };
    let mut stdin = list.stdin.take().expect("piped");
    stdin.write_all(&bytes).expect("taken");
    drop(stdin);
    let output = list.wait_with_output().expect("ended");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(text.lines().count(), entries.len());
    for line in [
        "-rwsr-sr-x 0/0             512 1970-01-01 00:00:00 d/block",
        "drwxrwxrwt 0/0               0 1970-01-01 00:00:01 d/",
        "1965-05-06 07:08:09 old",
        "gr\u{fc}n",
        "same link to d/plain",
        "link -> ../to",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn plain_entries_have_no_records() {
    let (bytes, _) = written(&[(file("a", 1), vec![], b"x".to_vec())], false);
    assert_eq!(bytes.len(), 2 * BLOCK + 2 * BLOCK);
    assert_eq!(&bytes[257..265], b"ustar\x0000");
    assert_eq!(&bytes[100..108], b"0000644\0");
    assert_eq!(&bytes[148..156], b"007337\0 ");
    assert_eq!(&bytes[329..345], b"0000000\x000000000\0");
}

#[test]
fn long_names_are_split_when_they_can_be() {
    for (dir, name, blocks) in [
        (90, 90, 1),
        (100, 100, 1),
        (155, 100, 1),
        (156, 100, 3),
        (100, 101, 3),
        (0, 101, 3),
    ] {
        let path = match dir {
            0 => "n".repeat(name),
            _ => format!("{}/{}", "d".repeat(dir), "n".repeat(name)),
        };
        for kind in [Kind::File, Kind::Dir] {
            let slash = usize::from(kind == Kind::Dir);
            let entry = Entry::new(&path[..path.len() - slash], kind, 0o755);
            assert_eq!(
                header::encode(&entry, &[], false).len(),
                blocks * BLOCK,
                "{dir} {name}"
            );
        }
    }
}

#[test]
fn nothing_is_the_empty_layer() {
    let layer = LayerWriter::new(Vec::new());
    assert!(layer.is_empty());
    let (_, digest) = layer.finish().expect("finished");
    assert_eq!(digest.diff_id.as_str(), crate::image::EMPTY_LAYER_DIFF_ID);
    assert_eq!(digest.size, 1024);
}

#[test]
fn content_that_changes() {
    for (size, content) in [(3, "ab"), (3, "abcd"), (0, "a"), (600_000, "ab")] {
        let mut layer = LayerWriter::new(io::sink());
        let result = layer.add_file(&file("f", size), &[], &mut content.as_bytes());
        assert!(matches!(result, Err(LayerError::Changed { path }) if path == "f"));
    }
}

#[test]
fn deletions() {
    let mut layer = LayerWriter::new(Vec::new());
    layer.whiteout("a/b").expect("written");
    layer.whiteout("c").expect("written");
    layer.opaque("d").expect("written");
    let (bytes, _) = layer.finish().expect("finished");
    let mut archive = TarReader::new(bytes.as_slice());
    for path in ["a/.wh.b", ".wh.c", "d/.wh..wh..opq"] {
        let header = archive.next().expect("valid").expect("an entry");
        assert_eq!((header.entry.path.as_str(), header.entry.size), (path, 0));
    }
}

#[test]
fn large_files_pass_in_pieces() {
    let size = 3 * BUFFER as u64 + 77;
    let mut layer = LayerWriter::new(io::sink());
    layer
        .add_file(&file("big", size), &[], &mut io::repeat(7).take(size))
        .expect("written");
    layer
        .add_file(&file("after", 1), &[], &mut "x".as_bytes())
        .expect("written");
    let (_, digest) = layer.finish().expect("finished");
    assert_eq!(digest.size % BLOCK as u64, 0);
}

#[test]
fn links_by_identity() {
    let id = Some(LinkId {
        device: 1,
        inode: 2,
    });
    let mut links = Links::default();
    let entry = Entry {
        link: id,
        ..file("a", 1)
    };
    assert_eq!(links.earlier(&entry, "x/a"), None);
    assert_eq!(links.earlier(&entry, "x/b"), Some("x/a".to_owned()));
    assert_eq!(links.earlier(&file("c", 1), "x/c"), None);
}

#[test]
fn archives_of_the_machine_s_tar() {
    let dir = tempfile::tempdir().expect("a directory");
    let long = "n".repeat(180);
    fs_err::create_dir_all(dir.path().join("in/sub")).expect("made");
    fs_err::write(dir.path().join("in/sub").join(&long), "long").expect("written");
    fs_err::write(dir.path().join("in/f"), "content").expect("written");
    fs_err::os::unix::fs::symlink(&long, dir.path().join("in/l")).expect("linked");
    for format in ["v7", "oldgnu", "gnu", "ustar", "pax"] {
        let output = Command::new("tar")
            .args([
                "--create",
                "--sort=name",
                "--format",
                format,
                "-f",
                "-",
                "in",
            ])
            .current_dir(dir.path())
            .output();
        let Ok(output) = output else { return };
        let mut archive = TarReader::new(output.stdout.as_slice());
        let mut found = Vec::new();
        while let Some(header) = archive.next().expect(format) {
            let mut content = String::new();
            archive.read_to_string(&mut content).expect("content");
            found.push((header.entry.path, header.entry.kind, content));
        }
        let has_long = format != "v7" && format != "ustar";
        assert!(
            found.contains(&("in/".into(), Kind::Dir, String::new())),
            "{format} {found:?}"
        );
        assert!(
            found.contains(&("in/f".into(), Kind::File, "content".into())),
            "{format}"
        );
        let path = format!("in/sub/{long}");
        assert_eq!(
            found.contains(&(path, Kind::File, "long".into())),
            has_long,
            "{format}"
        );
        let link = (
            "in/l".to_owned(),
            Kind::Symlink(long.clone()),
            String::new(),
        );
        assert_eq!(found.contains(&link), has_long, "{format}");
    }
}

#[test]
fn binary_numbers() {
    let mut header = ::tar::Header::new_gnu();
    header.set_path("f").expect("short");
    header.set_size(0);
    header.set_uid(3_000_000_000);
    header.as_gnu_mut().expect("gnu").mtime = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    ];
    header.set_cksum();
    let mut archive = TarReader::new(header.as_bytes().as_slice());
    let entry = archive.next().expect("valid").expect("an entry").entry;
    assert_eq!((entry.uid, entry.mtime.secs), (3_000_000_000, -2));
}

#[test]
fn broken_archives() {
    let (good, _) = written(&everything(), false);
    let walk = |bytes: &[u8]| -> io::Result<()> {
        let mut archive = TarReader::new(bytes);
        while archive.next()?.is_some() {}
        Ok(())
    };
    assert!(walk(&good).is_ok());
    assert!(walk(b"").is_ok());
    assert!(walk(&good[..512]).is_ok());
    assert!(walk(&good[..700]).is_err());
    assert!(walk(&good[..512 + 513]).is_err());
    assert!(walk(&[b'x'; 2048]).is_err());
    let mut huge = ::tar::Header::new_ustar();
    huge.set_entry_type(::tar::EntryType::XHeader);
    huge.set_size(1 << 32);
    huge.set_cksum();
    assert!(walk(huge.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), right in any::<bool>()) {
        if right && bytes.len() >= BLOCK {
            let mut header = ::tar::Header::from_byte_slice(&bytes[..BLOCK]).clone();
            header.set_cksum();
            bytes[..BLOCK].copy_from_slice(header.as_bytes());
        }
        let mut archive = TarReader::new(bytes.as_slice());
        while let Ok(Some(_)) = archive.next() {
            let _ = io::copy(&mut archive, &mut io::sink());
        }
    }

    #[test]
    fn any_entry_survives(
        path in "[a-z\u{fc}]{1,60}(/[a-z]{1,80}){0,3}",
        secs in -100_000_000_000_i64..100_000_000_000,
        nanos in 0_u32..1_000_000_000,
        uid in any::<u32>(),
        mode in 0_u32..0o10000,
        content in proptest::collection::vec(any::<u8>(), 0..700),
    ) {
        let mtime = Mtime { secs, nanos };
        let entry = Entry { mode, uid, mtime, ..file(&path, content.len() as u64) };
        let (bytes, _) = written(&[(entry.clone(), vec![], content)], true);
        let mut archive = TarReader::new(bytes.as_slice());
        prop_assert_eq!(archive.next().unwrap().unwrap().entry, entry);
    }
}
