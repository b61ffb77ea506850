//! Reads tar archives of any make as a stream, with little memory whatever is in them.
//!
//! Understands what Go's `archive/tar` does: old headers, ustar, GNU (long names, binary
//! numbers) and PAX with its sparse files. Those of GNU's older form are of an unknown type.

use std::io::{self, Read};

use super::BLOCK;
use super::pax;
use super::sparse::{self, Parts};
use crate::context::entry::{Entry, Kind, Mtime, Xattr};
use crate::context::name;

/// The largest list of PAX records.
const MAX_RECORDS: u64 = 1 << 20;
/// The longest path that Linux takes.
const MAX_PATH: usize = 4096;

/// An archive that is read entry by entry.
pub(crate) struct TarReader<R> {
    input: R,
    /// Of the current entry's content, and the padding after it.
    left: u64,
    padding: usize,
    /// Of a sparse file.
    parts: Option<Parts>,
}

/// An entry's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The path is as written, neither cleaned nor known to stay inside.
    pub(crate) entry: Entry,
    /// Sorted by name.
    pub(crate) xattrs: Vec<Xattr>,
    /// The type, when it is none that an [`Entry`] has.
    pub(crate) unknown: Option<char>,
}

/// What came before a header and changes it.
#[derive(Default)]
struct Extra {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    records: Vec<(String, Vec<u8>)>,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            padding: 0,
            parts: None,
        }
    }

    /// Goes on to the next entry; what was not read of the last one's content is left out.
    pub(crate) fn next(&mut self) -> io::Result<Option<Header>> {
        let mut extra = Extra::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            if block == [0; BLOCK] {
                return match self.block()? {
                    Some(second) if second != [0; BLOCK] => Err(bad("header")),
                    _ => Ok(None),
                };
            }
            let fields = Fields(&block);
            fields.check()?;
            let kind = block[156];
            self.left = fields.size()?;
            self.padding = super::padding(self.left);
            match kind {
                b'x' => extra.records = pax::parse(&self.whole()?)?,
                b'g' => {}
                b'L' => extra.path = Some(until_nul(&self.whole()?).to_owned()),
                b'K' => extra.target = Some(until_nul(&self.whole()?).to_owned()),
                _ => {
                    let (mut header, sparse) = fields.header(kind, extra)?;
                    self.left = if header.has_content() {
                        header.entry.size
                    } else {
                        0
                    };
                    self.padding = super::padding(self.left);
                    if header.entry.is_file() {
                        self.parts = sparse.parts(&mut self.input, &mut self.left)?;
                    }
                    if let Some(parts) = &self.parts {
                        header.entry.size = parts.size;
                    }
                    return Ok(Some(header));
                }
            }
        }
    }

    /// Whether an archive begins like this.
    pub(in crate::context) fn is_header(head: &[u8]) -> bool {
        let block = head.first_chunk::<BLOCK>();
        block.is_some_and(|block| *block != [0; BLOCK] && Fields(block).check().is_ok())
    }

    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match super::read(&mut self.input, &mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => filled += got,
            }
        }
        Ok(Some(block))
    }

    /// The current entry's content, which must be short.
    fn whole(&mut self) -> io::Result<Vec<u8>> {
        if self.left > MAX_RECORDS {
            return Err(bad("header, too long"));
        }
        let mut content = Vec::new();
        self.read_to_end(&mut content)?;
        Ok(content)
    }

    fn skip(&mut self) -> io::Result<()> {
        let all = self.left + self.padding as u64;
        let skipped = io::copy(&mut (&mut self.input).take(all), &mut io::sink())?;
        (self.left, self.padding) = (0, 0);
        self.parts = None;
        if skipped < all {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }
}

/// The content of the current entry.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stored = Stored {
            input: &mut self.input,
            left: &mut self.left,
        };
        match &mut self.parts {
            Some(parts) => parts.read(buffer, &mut stored),
            None => stored.read(buffer),
        }
    }
}

/// What the archive holds of the current entry's content.
struct Stored<'a, R> {
    input: &'a mut R,
    left: &'a mut u64,
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer
            .len()
            .min(usize::try_from(*self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let got = self.input.read(&mut buffer[..wanted])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *self.left -= got as u64;
        Ok(got)
    }
}

impl Header {
    fn has_content(&self) -> bool {
        self.entry.is_file() || self.unknown.is_some()
    }
}

/// The fields of a header block.
struct Fields<'a>(&'a [u8; BLOCK]);

impl Fields<'_> {
    fn check(&self) -> io::Result<()> {
        let written = self.number(148, 8)?;
        let counted = |at: usize| {
            if (148..156).contains(&at) {
                b' '
            } else {
                self.0[at]
            }
        };
        let unsigned: i64 = (0..BLOCK).map(|at| i64::from(counted(at))).sum();
        let signed: i64 = (0..BLOCK)
            .map(|at| i64::from(counted(at).cast_signed()))
            .sum();
        if written == unsigned || written == signed {
            Ok(())
        } else {
            Err(bad("checksum"))
        }
    }

    fn size(&self) -> io::Result<u64> {
        u64::try_from(self.number(124, 12)?).map_err(|_| bad("size"))
    }

    fn text(&self, start: usize, length: usize) -> &[u8] {
        until_nul(&self.0[start..start + length])
    }

    /// Octal digits, or a binary number when the first bit is set.
    fn number(&self, start: usize, length: usize) -> io::Result<i64> {
        let field = &self.0[start..start + length];
        if field[0] & 0x80 != 0 {
            let negative = field[0] & 0x40 != 0;
            let flip = if negative { 0xff } else { 0 };
            let mut number: u64 = 0;
            for (at, byte) in field.iter().enumerate() {
                let byte = if at == 0 {
                    (byte ^ flip) & 0x7f
                } else {
                    byte ^ flip
                };
                if number >> 55 != 0 {
                    return Err(bad("number"));
                }
                number = number << 8 | u64::from(byte);
            }
            let number = i64::try_from(number).map_err(|_| bad("number"))?;
            return Ok(if negative { !number } else { number });
        }
        let is_blank = |byte: &u8| *byte == b' ' || *byte == 0;
        let start = field
            .iter()
            .position(|byte| !is_blank(byte))
            .unwrap_or(field.len());
        let end = field
            .iter()
            .rposition(|byte| !is_blank(byte))
            .map_or(start, |at| at + 1);
        let digits = until_nul(&field[start..end]);
        if digits.is_empty() {
            return Ok(0);
        }
        let digits = std::str::from_utf8(digits).map_err(|_| bad("number"))?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = i64::from_str_radix(digits, 8).ok().filter(|_| plain);
        number.ok_or_else(|| bad("number"))
    }

    fn id(&self, start: usize) -> io::Result<u32> {
        u32::try_from(self.number(start, 8)?).map_err(|_| bad("owner"))
    }

    fn header(&self, kind: u8, extra: Extra) -> io::Result<(Header, sparse::Records)> {
        let mut path = self.text(0, 100).to_owned();
        let magic = &self.0[257..265];
        if magic == b"ustar\x0000" {
            let star = &self.0[508..] == b"tar\0";
            let prefix = self.text(345, if star { 131 } else { 155 });
            if !prefix.is_empty() {
                path = [prefix, b"/", &path].concat();
            }
        }
        let mut target = self.text(157, 100).to_owned();
        let mut entry = Entry {
            mode: u32::try_from(self.number(100, 8)? & 0o7777).unwrap_or_default(),
            uid: self.id(108)?,
            gid: self.id(116)?,
            mtime: Mtime {
                secs: self.number(136, 12)?,
                nanos: 0,
            },
            size: self.size()?,
            ..Entry::new("", Kind::File, 0)
        };
        let mut xattrs = Vec::new();
        let mut sparse = sparse::Records::default();
        for (key, value) in extra.records {
            let text = std::str::from_utf8(&value);
            let number = || text.ok().and_then(|text| text.parse().ok());
            match key.as_str() {
                _ if value.is_empty() && !key.starts_with("SCHILY.xattr.") => {}
                "path" => path = value,
                "linkpath" => target = value,
                "size" => entry.size = number().ok_or_else(|| bad("size"))?,
                "uid" => entry.uid = id(number())?,
                "gid" => entry.gid = id(number())?,
                "mtime" => entry.mtime = text.ok().and_then(time).ok_or_else(|| bad("time"))?,
                _ => {
                    if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                        xattrs.push((name.to_owned(), value));
                    } else if let Some(key) = key.strip_prefix(sparse::PREFIX) {
                        sparse.take(key, &value)?;
                    }
                }
            }
        }
        xattrs.sort_unstable();
        path = extra.path.unwrap_or(path);
        if let Some(name) = sparse.name.take() {
            path = name;
        }
        target = extra.target.unwrap_or(target);
        if path.len() > MAX_PATH || target.len() > MAX_PATH {
            return Err(bad("name, too long"));
        }
        let target = name::from_bytes(&target);
        let device = || -> io::Result<(u32, u32)> { Ok((self.id(329)?, self.id(337)?)) };
        let mut unknown = None;
        entry.kind = match kind {
            0 if path.ends_with(b"/") => Kind::Dir,
            b'0' | 0 => Kind::File,
            b'1' => Kind::Hardlink(target),
            b'2' => Kind::Symlink(target),
            b'3' | b'4' => {
                let (major, minor) = device()?;
                if kind == b'3' {
                    Kind::Char { major, minor }
                } else {
                    Kind::Block { major, minor }
                }
            }
            b'5' => Kind::Dir,
            b'6' => Kind::Fifo,
            other => {
                unknown = Some(char::from(other));
                Kind::Fifo
            }
        };
        if !entry.is_file() && unknown.is_none() {
            entry.size = 0;
        }
        entry.path = name::from_bytes(&path);
        let header = Header {
            entry,
            xattrs,
            unknown,
        };
        Ok((header, sparse))
    }
}

fn id(number: Option<u64>) -> io::Result<u32> {
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| bad("owner"))
}

/// A decimal number of seconds, with or without a fraction, before 1970 with a minus.
fn time(text: &str) -> Option<Mtime> {
    let (secs, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = secs.starts_with('-');
    let secs: i64 = secs.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    if negative && nanos > 0 {
        return Some(Mtime {
            secs: secs.checked_sub(1)?,
            nanos: 1_000_000_000 - nanos,
        });
    }
    Some(Mtime { secs, nanos })
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

pub(super) fn bad(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("invalid {what} in a tar archive"),
    )
}
