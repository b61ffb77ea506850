//! What goes between bowline and the program where one container runs many steps.
//!
//! Towards the program: orders on its standard input, each its length and its bytes. Back from
//! it: frames on its standard output, each the number of the step that it belongs to, its kind,
//! its length and its bytes. Numbers are little-endian, as in a request.

use std::io::{self, Read, Write};

/// Where the engine mounts the volume in which the steps' layers are.
pub const LAYERS: &str = "/dev/.bowline-layers";

/// What an order may be long at most: a request, and the numbers before it.
const MAX_ORDER: usize = 65 << 20;

/// What the program is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Run the command of an encoded request over these layers, the topmost first, and below
    /// them the container's own files. What it changes is the layer of this number.
    Run {
        number: u32,
        below: Vec<u32>,
        request: Vec<u8>,
    },
    /// Give the entries of this layer.
    Take { number: u32 },
    /// Here is a part of the entries of a layer that no command has made, to stand over those
    /// below; in each part the entries are whole.
    Put {
        number: u32,
        below: Vec<u32>,
        last: bool,
        part: Vec<u8>,
    },
}

/// What the program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// It can run steps.
    Ready,
    /// It cannot, for this reason.
    Unable(String),
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// The command has ended; `size` bytes are in the files of its layer.
    Ended {
        status: i32,
        size: u64,
    },
    /// A part of the entries of a layer.
    Part(Vec<u8>),
    /// All parts went out, or in.
    Taken,
    /// The layer cannot be read, for this reason.
    Failed(String),
}

impl Order {
    /// The bytes for the program's standard input.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Run {
                number,
                below,
                request,
            } => {
                put_head(&mut body, 1, *number, below);
                body.extend(request);
            }
            Self::Take { number } => {
                put_head(&mut body, 2, *number, &[]);
            }
            Self::Put {
                number,
                below,
                last,
                part,
            } => {
                put_head(&mut body, if *last { 4 } else { 3 }, *number, below);
                body.extend(part);
            }
        }
        let mut order = Vec::with_capacity(body.len() + 4);
        super::put_bytes(&mut order, &body);
        order
    }

    /// The next order; `None` at the end.
    ///
    /// # Errors
    /// When the input ends within an order or holds none.
    pub fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        if input.read(&mut length[..1])? == 0 {
            return Ok(None);
        }
        input.read_exact(&mut length[1..])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_ORDER {
            return Err(malformed());
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes)?;
        let mut body = super::Body(&bytes);
        let mut number = || body.number().map_err(|_| malformed());
        let (kind, number_of) = (number()?, number()?);
        let below = (0..number()?).map(|_| number()).collect::<Result<_, _>>()?;
        let rest = body.0.to_vec();
        Ok(Some(match kind {
            1 => Self::Run {
                number: number_of,
                below,
                request: rest,
            },
            2 => Self::Take { number: number_of },
            3 | 4 => Self::Put {
                number: number_of,
                below,
                last: kind == 4,
                part: rest,
            },
            _ => return Err(malformed()),
        }))
    }
}

fn put_head(body: &mut Vec<u8>, kind: u32, number: u32, below: &[u32]) {
    body.extend(kind.to_le_bytes());
    body.extend(number.to_le_bytes());
    super::put_number(body, below.len());
    for layer in below {
        body.extend(layer.to_le_bytes());
    }
}

impl Frame {
    /// Writes the frame in one go.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn write(&self, number: u32, out: &mut impl Write) -> io::Result<()> {
        let mut ended = [0; 12];
        let (kind, bytes): (u8, &[u8]) = match self {
            Self::Ready => (0, &[]),
            Self::Unable(reason) => (1, reason.as_bytes()),
            Self::Stdout(bytes) => (2, bytes),
            Self::Stderr(bytes) => (3, bytes),
            Self::Ended { status, size } => {
                ended[..4].copy_from_slice(&status.to_le_bytes());
                ended[4..].copy_from_slice(&size.to_le_bytes());
                (4, &ended)
            }
            Self::Part(bytes) => (5, bytes),
            Self::Taken => (6, &[]),
            Self::Failed(reason) => (7, reason.as_bytes()),
        };
        let mut frame = number.to_le_bytes().to_vec();
        frame.push(kind);
        super::put_bytes(&mut frame, bytes);
        out.write_all(&frame)?;
        out.flush()
    }

    /// Takes the first whole frame, with its number, from the front of a buffer.
    ///
    /// # Errors
    /// When it begins with something else.
    pub fn take(buffer: &mut Vec<u8>) -> io::Result<Option<(u32, Self)>> {
        const HEAD: usize = 9;
        let Some((head, rest)) = buffer.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let mut numbers = super::Body(&head[..4]);
        let number = numbers.number().map_err(|_| malformed())?;
        let mut length = super::Body(&head[5..]);
        let length = length.number().map_err(|_| malformed())? as usize;
        let Some(bytes) = rest.get(..length) else {
            return Ok(None);
        };
        let text = || String::from_utf8_lossy(bytes).into_owned();
        let frame = match head[4] {
            0 => Self::Ready,
            1 => Self::Unable(text()),
            2 => Self::Stdout(bytes.to_vec()),
            3 => Self::Stderr(bytes.to_vec()),
            4 => {
                let (status, size) = bytes.split_first_chunk().ok_or_else(malformed)?;
                Self::Ended {
                    status: i32::from_le_bytes(*status),
                    size: u64::from_le_bytes(size.try_into().map_err(|_| malformed())?),
                }
            }
            5 => Self::Part(bytes.to_vec()),
            6 => Self::Taken,
            7 => Self::Failed(text()),
            _ => return Err(malformed()),
        };
        buffer.drain(..HEAD + length);
        Ok(Some((number, frame)))
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no order and no frame")
}

/// A file of a layer, or what a layer takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFile {
    /// Relative to the root, without a slash at either end.
    pub path: Vec<u8>,
    pub kind: LayerKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub seconds: i64,
    pub nanos: u32,
    /// Extended attributes that layers keep.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub content: Vec<u8>,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerKind {
    /// What was there below is gone.
    Whiteout,
    File,
    Directory {
        /// Whether it hides what is below it.
        opaque: bool,
    },
    Symlink(Vec<u8>),
    /// Another name of a file that came before.
    Hardlink(Vec<u8>),
    Fifo,
    Char(u64),
    Block(u64),
}

impl LayerFile {
    /// The bytes for a [`Frame::Part`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.content.len() + 128);
        super::put_bytes(&mut out, &self.path);
        let (kind, text, number): (u32, &[u8], u64) = match &self.kind {
            LayerKind::Whiteout => (0, &[], 0),
            LayerKind::File => (1, &[], 0),
            LayerKind::Directory { opaque } => (2, &[], u64::from(*opaque)),
            LayerKind::Symlink(to) => (3, to, 0),
            LayerKind::Hardlink(to) => (4, to, 0),
            LayerKind::Fifo => (5, &[], 0),
            LayerKind::Char(device) => (6, &[], *device),
            LayerKind::Block(device) => (7, &[], *device),
        };
        out.extend(kind.to_le_bytes());
        super::put_bytes(&mut out, text);
        out.extend(number.to_le_bytes());
        for number in [self.mode, self.uid, self.gid, self.nanos] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.seconds.to_le_bytes());
        super::put_number(&mut out, self.xattrs.len());
        for (name, value) in &self.xattrs {
            super::put_bytes(&mut out, name);
            super::put_bytes(&mut out, value);
        }
        super::put_bytes(&mut out, &self.content);
        out
    }

    /// All files in what the parts of a layer hold together.
    ///
    /// # Errors
    /// When they do not hold whole files.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, super::Error> {
        let mut body = super::Body(bytes);
        let mut files = Vec::new();
        while !body.0.is_empty() {
            files.push(Self::decode(&mut body)?);
        }
        Ok(files)
    }

    fn decode(body: &mut super::Body<'_>) -> Result<Self, super::Error> {
        let path = body.bytes()?;
        let kind = body.number()?;
        let text = body.bytes()?;
        let number = long(body)?;
        let kind = match kind {
            0 => LayerKind::Whiteout,
            1 => LayerKind::File,
            2 => LayerKind::Directory {
                opaque: number != 0,
            },
            3 => LayerKind::Symlink(text),
            4 => LayerKind::Hardlink(text),
            5 => LayerKind::Fifo,
            6 => LayerKind::Char(number),
            7 => LayerKind::Block(number),
            _ => return Err(super::Error::Malformed),
        };
        Ok(Self {
            path,
            kind,
            mode: body.number()?,
            uid: body.number()?,
            gid: body.number()?,
            nanos: body.number()?,
            seconds: i64::from_le_bytes(long(body)?.to_le_bytes()),
            xattrs: body.list(|b| Ok((b.bytes()?, b.bytes()?)))?,
            content: body.bytes()?,
        })
    }
}

fn long(body: &mut super::Body<'_>) -> Result<u64, super::Error> {
    let low = u64::from(body.number()?);
    Ok(u64::from(body.number()?) << 32 | low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_back() {
        let orders = [
            Order::Run {
                number: 3,
                below: vec![2, 1],
                request: b"request".to_vec(),
            },
            Order::Take { number: 3 },
            Order::Put {
                number: 4,
                below: vec![3, 2, 1],
                last: true,
                part: b"entries".to_vec(),
            },
        ];
        let bytes: Vec<u8> = orders.iter().flat_map(Order::encode).collect();
        let mut input = bytes.as_slice();
        for order in orders {
            assert_eq!(Order::read(&mut input).unwrap(), Some(order));
        }
        assert_eq!(Order::read(&mut input).unwrap(), None);
        assert!(Order::read(&mut &bytes[..7]).is_err());
    }

    #[test]
    fn frames_come_back_from_any_pieces() {
        let frames = [
            Frame::Ready,
            Frame::Unable("because".into()),
            Frame::Stdout(b"out".to_vec()),
            Frame::Stderr(Vec::new()),
            Frame::Ended {
                status: -3,
                size: 1 << 40,
            },
            Frame::Part(vec![0; 300]),
            Frame::Taken,
            Frame::Failed("no".into()),
        ];
        let mut bytes = Vec::new();
        for (number, frame) in (0..).zip(&frames) {
            frame.write(number, &mut bytes).unwrap();
        }
        let (mut buffer, mut back) = (Vec::new(), Vec::new());
        for byte in bytes {
            buffer.push(byte);
            while let Some((number, frame)) = Frame::take(&mut buffer).unwrap() {
                assert_eq!(number as usize, back.len());
                back.push(frame);
            }
        }
        assert_eq!(back, frames);
    }

    #[test]
    fn files_of_a_layer_come_back() {
        let file = |path: &str, kind| LayerFile {
            path: path.into(),
            kind,
            mode: 0o4755,
            uid: 1,
            gid: u32::MAX,
            seconds: -1,
            nanos: 999_999_999,
            xattrs: vec![(b"security.capability".to_vec(), vec![1, 2])],
            content: b"content".to_vec(),
        };
        let files = vec![
            file("gone", LayerKind::Whiteout),
            file("d", LayerKind::Directory { opaque: true }),
            file("d/f", LayerKind::File),
            file("d/s", LayerKind::Symlink(b"f".to_vec())),
            file("d/h", LayerKind::Hardlink(b"d/f".to_vec())),
            file("d/c", LayerKind::Char(0x0103)),
        ];
        let bytes: Vec<u8> = files.iter().flat_map(LayerFile::encode).collect();
        assert_eq!(LayerFile::decode_all(&bytes).unwrap(), files);
        assert!(LayerFile::decode_all(&bytes[..bytes.len() - 1]).is_err());
    }
}
