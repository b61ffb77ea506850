use std::io::{Cursor, Write};

use super::super::tar::LayerWriter;
use super::*;

impl<W: Write> Target for LayerWriter<W> {
    fn add(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), UnpackError> {
        Ok(LayerWriter::add(self, entry, xattrs)?)
    }

    fn add_file(
        &mut self,
        entry: &Entry,
        xattrs: &[Xattr],
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        Ok(LayerWriter::add_file(self, entry, xattrs, content)?)
    }
}

fn tar(entries: &[(Entry, &str)]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (entry, content) in entries {
        let mut header = ::tar::Header::new_gnu();
        let (entry_type, target) = match &entry.kind {
            Kind::File => (::tar::EntryType::Regular, ""),
            Kind::Dir => (::tar::EntryType::Directory, ""),
            Kind::Symlink(target) => (::tar::EntryType::Symlink, target.as_str()),
            Kind::Hardlink(target) => (::tar::EntryType::Link, target.as_str()),
            Kind::Fifo => (::tar::EntryType::Continuous, ""),
            _ => (::tar::EntryType::Char, ""),
        };
        header.set_entry_type(entry_type);
        header.as_old_mut().name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_mode(entry.mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder
            .append(&header, content.as_bytes())
            .expect("written");
    }
    builder.into_inner().expect("finished")
}

fn f(path: &str) -> (Entry, &'static str) {
    (Entry::new(path, Kind::File, 0o640), "x")
}

fn d(path: &str, mode: u32) -> (Entry, &'static str) {
    (Entry::new(path, Kind::Dir, mode), "")
}

fn l(path: &str, target: &str) -> (Entry, &'static str) {
    (Entry::new(path, Kind::Symlink(target.into()), 0o777), "")
}

fn h(path: &str, target: &str) -> (Entry, &'static str) {
    (Entry::new(path, Kind::Hardlink(target.into()), 0o640), "")
}

/// What the image has below `o`.
fn image(path: &str) -> Option<Kind> {
    match path {
        "o/real2" | "o/etc" => Some(Kind::Dir),
        "o/etc/passwd" => Some(Kind::File),
        "o/ld" => Some(Kind::Symlink("real2".into())),
        "o/la" => Some(Kind::Symlink("/other".into())),
        _ => None,
    }
}

/// The entries of the layer, or the error.
fn unpacked(bytes: &[u8], owner: Option<(u32, u32)>) -> Result<String, UnpackError> {
    let mut layer = LayerWriter::new(Vec::new());
    let mut asked = 0;
    let mut lookup = |path: &str| {
        asked += 1;
        Ok(image(path))
    };
    let implied_mtime = Mtime { secs: 5, nanos: 0 };
    let options = Unpack {
        dest: "o",
        owner,
        implied_mtime,
        lookup: &mut lookup,
    };
    let compression = detect(&mut &*bytes).expect("an archive");
    unpack(&mut &*bytes, compression, options, &mut layer)?;
    let (bytes, _) = layer.finish().expect("finished");
    let mut archive = TarReader::new(bytes.as_slice());
    let mut lines = Vec::new();
    while let Some(header) = archive.next().expect("valid") {
        let Entry {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime,
            ..
        } = header.entry;
        let kind = match kind {
            Kind::Symlink(target) => format!("->{target}"),
            Kind::Hardlink(target) => format!("={target}"),
            _ => String::new(),
        };
        let secs = mtime.secs % 1_000_000;
        lines.push(format!("{path}{kind} {mode:o} {uid}:{gid} {secs}"));
    }
    Ok(lines.join(", "))
}

#[test]
fn as_docker_unpacks() {
    for (entries, expected) in [
        (
            vec![f("a/b/c")],
            "o/a/ 755 0:0 5, o/a/b/ 755 0:0 5, o/a/b/c 640 7:8 0",
        ),
        (vec![f("/abs/x")], "o/abs/ 755 0:0 5, o/abs/x 640 7:8 0"),
        (vec![f("a/../b")], "o/b 640 7:8 0"),
        (vec![d("./", 0o700), f("./z")], "o/z 640 7:8 0"),
        (
            vec![
                d("real", 0o711),
                l("l", "real"),
                f("l/x"),
                l("abs", "/real"),
                f("abs/y"),
            ],
            "o/real/ 711 7:8 0, o/l->real 777 7:8 0, o/real/x 640 7:8 0, o/abs->/real 777 7:8 0, \
             o/real/y 640 7:8 0",
        ),
        (
            vec![l("l", "nowhere"), f("l/x")],
            "o/l->nowhere 777 7:8 0, o/nowhere/ 755 0:0 5, o/nowhere/x 640 7:8 0",
        ),
        (
            vec![f("d/f"), h("d/g", "d/f"), h("h", "/d/f")],
            "o/d/ 755 0:0 5, o/d/f 640 7:8 0, o/d/g=o/d/f 640 7:8 0, o/h=o/d/f 640 7:8 0",
        ),
        (
            vec![d("real", 0o711), l("l", "real"), f("l/x"), h("h", "l/x")],
            "o/real/ 711 7:8 0, o/l->real 777 7:8 0, o/real/x 640 7:8 0, o/h=o/real/x 640 7:8 0",
        ),
        (vec![f("ld/x")], "o/real2/x 640 7:8 0"),
        (
            vec![d("ld", 0o700), f("ld/x")],
            "o/ld/ 700 7:8 0, o/ld/x 640 7:8 0",
        ),
        (vec![f("la/x")], "o/other/ 755 0:0 5, o/other/x 640 7:8 0"),
        (vec![f("etc/new")], "o/etc/new 640 7:8 0"),
        (
            vec![d("d", 0o755), f("d/x"), f("d")],
            "o/d/ 755 7:8 0, o/d/x 640 7:8 0, o/d 640 7:8 0",
        ),
        (
            vec![f("a/f"), l("a", "b"), f("a/z")],
            "o/a/ 755 0:0 5, o/a/f 640 7:8 0, o/a->b 777 7:8 0, o/b/ 755 0:0 5, o/b/z 640 7:8 0",
        ),
        (vec![l("l", "../../../x")], "o/l->../../../x 777 7:8 0"),
    ] {
        assert_eq!(unpacked(&tar(&entries), None).expect(expected), expected);
    }
}

#[test]
fn a_given_owner() {
    let unpacked = unpacked(&tar(&[f("a/f"), l("l", "a")]), Some((5, 6))).expect("unpacked");
    assert_eq!(
        unpacked,
        "o/a/ 755 0:0 5, o/a/f 640 5:6 0, o/l->a 777 5:6 0"
    );
}

#[test]
fn what_cannot_be_unpacked() {
    let error = |entries: &[_]| {
        unpacked(&tar(entries), None)
            .expect_err("refused")
            .to_string()
    };
    for (entries, expected) in [
        (
            vec![f("../x")],
            "the archive's entry `../x` is outside of the destination",
        ),
        (
            vec![f("a/../../x")],
            "the archive's entry `a/../../x` is outside of the destination",
        ),
        (
            vec![f("/../y")],
            "the archive's entry `/../y` is outside of the destination",
        ),
        (
            vec![f("f"), h("h", "../f")],
            "the archive's entry `../f` is outside of the destination",
        ),
        (
            vec![l("l", "../up"), f("l/x")],
            "the archive's entry `l/x` is outside of the destination",
        ),
        (
            vec![h("h", "etc/passwd")],
            "the archive's entry `h` is a hard link to `etc/passwd`, which it does not hold",
        ),
        (
            vec![h("h", "h")],
            "the archive's entry `h` is a hard link to `h`, which it does not hold",
        ),
        (
            vec![f("f"), f("f/x")],
            "the archive's entry `f/x` leads through something that is not a directory",
        ),
        (
            vec![l("l", "l"), f("l/x")],
            "the archive's entry `l/x` leads through something that is not a directory",
        ),
        (
            vec![f("f"), (Entry::new("c", Kind::Fifo, 0o600), "")],
            "the archive's entry `c` is of the unknown type `7`",
        ),
    ] {
        assert_eq!(error(&entries), expected);
    }
    let bytes = tar(&[(Entry::new("f", Kind::File, 0o600), &"long".repeat(1000))]);
    assert!(matches!(
        unpacked(&bytes[..2000], None),
        Err(UnpackError::Broken(_))
    ));
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    let mut write = |encoder: &mut dyn Read| encoder.read_to_end(&mut out).expect("compressed");
    match compression {
        Compression::None => write(&mut Cursor::new(bytes)),
        Compression::Gzip => write(&mut flate2::read::GzEncoder::new(
            bytes,
            flate2::Compression::fast(),
        )),
        Compression::Bzip2 => write(&mut bzip2::read::BzEncoder::new(
            bytes,
            bzip2::Compression::fast(),
        )),
        Compression::Xz => write(&mut liblzma::read::XzEncoder::new(bytes, 1)),
        Compression::Zstd => {
            write(&mut zstd::stream::read::Encoder::new(bytes, 1).expect("an encoder"))
        }
    };
    out
}

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Bzip2,
    Compression::Xz,
    Compression::Zstd,
];

#[test]
fn recognised_by_content() {
    let bytes = tar(&[f("f")]);
    for compression in ALL {
        let packed = compressed(&bytes, compression);
        assert_eq!(detect(&mut packed.as_slice()), Some(compression));
        assert_eq!(unpacked(&packed, None).expect("unpacked"), "o/f 640 7:8 0");
        let text = compressed(b"some text, no archive at all", compression);
        assert_eq!(detect(&mut text.as_slice()), None, "{compression:?}");
        assert_eq!(
            detect(&mut &packed[..packed.len().min(40)]),
            None,
            "{compression:?}"
        );
    }
    for bytes in [
        &b""[..],
        b"\x1f\x8b\x08",
        &[0; 10_240],
        b"BZh",
        &[b'x'; 1024],
    ] {
        assert_eq!(detect(&mut &*bytes), None);
    }
    // Several compressed streams one after the other are one archive.
    let (one, two) = bytes.split_at(600);
    for compression in [
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Xz,
        Compression::Zstd,
    ] {
        let both = [compressed(one, compression), compressed(two, compression)].concat();
        assert_eq!(
            unpacked(&both, None).expect("unpacked"),
            "o/f 640 7:8 0",
            "{compression:?}"
        );
    }
}

#[test]
fn only_directories_are_asked_for() {
    let mut entries = vec![d("new", 0o755)];
    let names: Vec<String> = (0..50).map(|at| format!("new/f{at}")).collect();
    entries.extend(names.iter().map(|name| f(name)));
    let bytes = tar(&entries);
    let mut asked = Vec::new();
    let mut lookup = |path: &str| {
        asked.push(path.to_owned());
        Ok(None)
    };
    let options = Unpack {
        dest: "",
        owner: None,
        implied_mtime: Mtime::default(),
        lookup: &mut lookup,
    };
    let mut layer = LayerWriter::new(io::sink());
    unpack(
        &mut bytes.as_slice(),
        Compression::None,
        options,
        &mut layer,
    )
    .expect("unpacked");
    assert_eq!(asked, ["new"]);
}
