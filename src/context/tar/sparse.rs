//! Sparse files of PAX archives, in GNU tar's forms 0.0, 0.1 and 1.0: an archive holds only some
//! parts of such a file, all else in it is zeros.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::BLOCK;
use super::read::bad;

/// The longest list of parts, as text.
const MAX_LIST: usize = 1 << 20;
pub(super) const PREFIX: &str = "GNU.sparse.";

/// What the records of an entry say.
#[derive(Default)]
pub(super) struct Records {
    major: Option<Vec<u8>>,
    minor: Option<Vec<u8>>,
    pub(super) name: Option<Vec<u8>>,
    size: Option<u64>,
    /// Offsets and lengths in turn.
    numbers: Vec<u64>,
}

/// Where the list of parts is.
enum Form {
    InRecords,
    InContent,
}

impl Records {
    /// Takes a record, its key without the prefix.
    pub(super) fn take(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        match key {
            "major" => self.major = Some(value.to_owned()),
            "minor" => self.minor = Some(value.to_owned()),
            "name" => self.name = Some(value.to_owned()),
            "size" | "realsize" => self.size = Some(number(value)?),
            "offset" | "numbytes" => self.numbers.push(number(value)?),
            "map" => {
                let numbers = value.split(|byte| *byte == b',').map(number);
                self.numbers = numbers.collect::<io::Result<_>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn form(&self) -> Option<Form> {
        match (self.major.as_deref(), self.minor.as_deref()) {
            (Some(b"1"), Some(b"0")) => Some(Form::InContent),
            (Some(b"0"), Some(b"0" | b"1")) => Some(Form::InRecords),
            (None, None) if !self.numbers.is_empty() => Some(Form::InRecords),
            _ => None,
        }
    }

    /// The parts of the file, if it is a sparse one. `stored` is how much of the content is still
    /// to be read, which is less after this read a list from it.
    pub(super) fn parts(
        self,
        content: &mut dyn Read,
        stored: &mut u64,
    ) -> io::Result<Option<Parts>> {
        let numbers = match self.form() {
            None => return Ok(None),
            Some(Form::InRecords) => self.numbers,
            Some(Form::InContent) => list(content, stored)?,
        };
        let size = self.size.unwrap_or(*stored);
        Parts::new(&numbers, size, *stored).map(Some)
    }
}

/// Reads the list before the content: a number a line, the first one says how many pairs follow,
/// filled up to a whole block.
fn list(content: &mut dyn Read, stored: &mut u64) -> io::Result<Vec<u64>> {
    let mut text: Vec<u8> = Vec::new();
    loop {
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        // What stands behind the last line end may go on in the next block.
        lines.pop();
        if let Some((count, lines)) = lines.split_first() {
            let wanted = usize::try_from(number(count)?)
                .ok()
                .and_then(|count| count.checked_mul(2))
                .ok_or_else(|| bad("sparse file"))?;
            if lines.len() >= wanted {
                return lines[..wanted].iter().map(|line| number(line)).collect();
            }
        }
        if text.len() > MAX_LIST || *stored < BLOCK as u64 {
            return Err(bad("sparse file"));
        }
        let mut block = [0; BLOCK];
        content.read_exact(&mut block)?;
        *stored -= BLOCK as u64;
        text.extend_from_slice(&block);
    }
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad("sparse file"))
}

/// The parts that are still to be read.
pub(super) struct Parts {
    /// Where each begins and ends in the file.
    todo: VecDeque<(u64, u64)>,
    at: u64,
    pub(super) size: u64,
}

impl Parts {
    fn new(numbers: &[u64], size: u64, stored: u64) -> io::Result<Self> {
        let mut todo = VecDeque::new();
        let (mut last, mut held) = (0, 0);
        let (pairs, odd) = numbers.as_chunks::<2>();
        for &[start, length] in pairs {
            let end = start.checked_add(length).filter(|end| *end <= size);
            let end = end.ok_or_else(|| bad("sparse file"))?;
            if start < last {
                return Err(bad("sparse file"));
            }
            last = end;
            held += length;
            if length > 0 {
                todo.push_back((start, end));
            }
        }
        if !odd.is_empty() || held > stored {
            return Err(bad("sparse file"));
        }
        Ok(Self { todo, at: 0, size })
    }

    /// Reads on in the file, whose parts follow each other in `stored`.
    pub(super) fn read(&mut self, buffer: &mut [u8], stored: &mut dyn Read) -> io::Result<usize> {
        let (end, is_hole) = match self.todo.front() {
            Some(&(start, _)) if self.at < start => (start, true),
            Some(&(_, end)) => (end, false),
            None => (self.size, true),
        };
        let room = usize::try_from(end - self.at).unwrap_or(usize::MAX);
        let room = room.min(buffer.len());
        let got = if is_hole {
            buffer[..room].fill(0);
            room
        } else {
            stored.read(&mut buffer[..room])?
        };
        self.at += got as u64;
        if !is_hole && self.at == end {
            self.todo.pop_front();
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(mut parts: Parts, mut stored: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut buffer = [7; 3];
        loop {
            match parts.read(&mut buffer, &mut stored).expect("read") {
                0 => return file,
                got => file.extend_from_slice(&buffer[..got]),
            }
        }
    }

    #[test]
    fn holes_are_zeros() {
        for (numbers, size, stored, expected) in [
            (&[1, 2, 5, 1][..], 7, "abc", &b"\0ab\0\0c\0"[..]),
            (&[0, 4], 4, "abcd", b"abcd"),
            (&[], 3, "", b"\0\0\0"),
            (&[5, 0], 5, "", b"\0\0\0\0\0"),
            (&[], 0, "", b""),
        ] {
            let parts = Parts::new(numbers, size, stored.len() as u64).expect("parts");
            assert_eq!(whole(parts, stored.as_bytes()), expected, "{numbers:?}");
        }
    }

    #[test]
    fn parts_are_in_order_inside_the_file_and_there() {
        for (numbers, size, stored) in [
            (&[0, 5][..], 4, 9),
            (&[2, 2, 1, 1], 9, 9),
            (&[0, 4], 4, 3),
            (&[1], 4, 3),
            (&[u64::MAX, 2], 4, 3),
        ] {
            assert!(Parts::new(numbers, size, stored).is_err(), "{numbers:?}");
        }
    }

    #[test]
    fn lists_may_be_longer_than_a_block() {
        let mut text = b"200\n".to_vec();
        for part in 0..200 {
            text.extend_from_slice(format!("{}\n1\n", part * 10).as_bytes());
        }
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        let mut stored = text.len() as u64 + 200;
        let numbers = list(&mut text.as_slice(), &mut stored).expect("a list");
        assert_eq!((numbers.len(), numbers[398], stored), (400, 1990, 200));
        for broken in ["9\n1\n2\n", "x\n", "-1\n", ""] {
            let mut block = broken.as_bytes().to_vec();
            block.resize(BLOCK, 0);
            let mut stored = BLOCK as u64;
            assert!(list(&mut block.as_slice(), &mut stored).is_err());
        }
    }
}
