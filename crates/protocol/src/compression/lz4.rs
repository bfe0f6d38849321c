//! LZ4 frames, as Java's `LZ4FrameOutputStream` writes them. The frames are read here, as a reader that trusts what they announce takes
//! 4 MiB for each message of Java's; their blocks are the library's.

use lz4_flex::block::{DecompressError, compress_into, decompress_into_with_dict, get_maximum_output_size};
use twox_hash::XxHash32;

use super::output::{Halt, Output};

const MAGIC: u32 = 0x184D_2204;
/// Sixteen magics of frames that are nobody's business.
const SKIPPED: u32 = 0x184D_2A50;
const SKIPPED_MASK: u32 = 0xFFFF_FFF0;

const VERSION: u8 = 0x40;
const VERSION_MASK: u8 = 0xC0;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED: u8 = 0x02;
const DICTIONARY: u8 = 0x01;

/// Of a block's length: it is not compressed.
const AS_IT_IS: u32 = 1 << 31;
/// As far back as a block may refer.
const WINDOW: usize = 64 * 1024;

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Halt> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| Halt::bad("LZ4: the frame is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Halt> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Halt> {
        Ok(self.take(4)?.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    }

    fn u64(&mut self) -> Result<u64, Halt> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }
}

/// What a frame says of itself.
struct Header {
    flags: u8,
    most_of_block: usize,
    content_size: Option<u64>,
}

/// All frames: one behind the other are one body, as in Java.
pub(super) fn inflate(body: &[u8], output: &mut Output<'_>) -> Result<(), Halt> {
    let mut rest = Rest(body);
    while !rest.0.is_empty() {
        match rest.u32()? {
            MAGIC => frame(&mut rest, output)?,
            magic if magic & SKIPPED_MASK == SKIPPED => {
                let length = rest.u32()? as usize;
                rest.take(length)?;
            }
            magic => return Err(Halt::Bad(format!("LZ4: no frame begins with {magic:#010x}"))),
        }
    }
    Ok(())
}

fn frame(rest: &mut Rest<'_>, output: &mut Output<'_>) -> Result<(), Halt> {
    let header = header(rest)?;
    if header.content_size.is_some_and(|size| size > output.room() as u64) {
        return Err(Halt::TooLarge);
    }
    let start = output.len();
    loop {
        output.look()?;
        let length = rest.u32()?;
        if length == 0 {
            break;
        }
        let block = rest.take((length & !AS_IT_IS) as usize)?;
        if header.flags & BLOCK_CHECKSUMS != 0 && rest.u32()? != XxHash32::oneshot(0, block) {
            return Err(Halt::bad("LZ4: a block does not fit its checksum"));
        }
        if block.len() > header.most_of_block {
            return Err(Halt::bad("LZ4: a block is larger than the frame says"));
        }
        if length & AS_IT_IS != 0 {
            output.push(block)?;
        } else {
            let from = if header.flags & INDEPENDENT != 0 { output.len() } else { start };
            inflate_block(block, header.most_of_block, from, output)?;
        }
    }
    if header.content_size.is_some_and(|size| size != (output.len() - start) as u64) {
        return Err(Halt::bad("LZ4: the content has another size than the frame says"));
    }
    if header.flags & CONTENT_CHECKSUM != 0 && rest.u32()? != XxHash32::oneshot(0, output.from(start)) {
        return Err(Halt::bad("LZ4: the content does not fit its checksum"));
    }
    Ok(())
}

fn header(rest: &mut Rest<'_>) -> Result<Header, Halt> {
    let begin = rest.0;
    let (flags, sizes) = (rest.byte()?, rest.byte()?);
    if flags & VERSION_MASK != VERSION || flags & RESERVED != 0 || sizes & 0x8F != 0 || sizes < 0x40 {
        return Err(Halt::bad("LZ4: unknown version of a frame"));
    }
    let content_size = (flags & CONTENT_SIZE != 0).then(|| rest.u64()).transpose()?;
    if flags & DICTIONARY != 0 {
        return Err(Halt::bad("LZ4: the dictionary is unknown"));
    }
    let described = &begin[..begin.len() - rest.0.len()];
    if u32::from(rest.byte()?) != XxHash32::oneshot(0, described) >> 8 & 0xFF {
        return Err(Halt::bad("LZ4: a header does not fit its checksum"));
    }
    // 64 KiB, 256 KiB, 1 MiB, 4 MiB.
    Ok(Header { flags, most_of_block: 1 << (8 + 2 * (sizes >> 4)), content_size })
}

/// One block, which may refer to what lies before it, as far back as `from`. It does not say how large it becomes: it gets room as it needs it.
fn inflate_block(block: &[u8], most: usize, from: usize, output: &mut Output<'_>) -> Result<(), Halt> {
    let room = most.min(output.room());
    let from = from.max(output.len().saturating_sub(WINDOW));
    let mut size = room.min(block.len().saturating_mul(4).max(64));
    loop {
        let inflated = output.write(from, size, |before, room| decompress_into_with_dict(block, room, before));
        match inflated {
            Ok(()) => return Ok(()),
            Err(DecompressError::OutputTooSmall { .. }) if size < room => size = room.min(size.saturating_mul(4)),
            Err(DecompressError::OutputTooSmall { .. }) if room < most => return Err(Halt::TooLarge),
            Err(error) => return Err(Halt::Bad(format!("LZ4: {error}"))),
        }
    }
}

/// One frame of blocks that are independent, as Java reads no others, with its content's checksum.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    // The smallest that takes the whole body, as readers make room for a block of that size.
    let (code, most) = [4_u8, 5, 6, 7]
        .map(|code| (code, 1_usize << (8 + 2 * code)))
        .into_iter()
        .find(|(_, most)| body.len() <= *most)
        .unwrap_or((7, 1 << 22));
    let mut frame = MAGIC.to_le_bytes().to_vec();
    frame.extend_from_slice(&[VERSION | INDEPENDENT | CONTENT_CHECKSUM, code << 4]);
    let check = XxHash32::oneshot(0, &frame[4..]).to_le_bytes()[1];
    frame.push(check);
    for block in body.chunks(most) {
        let start = frame.len();
        frame.resize(start + 4 + get_maximum_output_size(block.len()), 0);
        let written = compress_into(block, &mut frame[start + 4..]).ok()?;
        frame.truncate(start + 4 + written);
        let mut length = u32::try_from(written).ok()?;
        if written >= block.len() {
            frame.truncate(start + 4);
            frame.extend_from_slice(block);
            length = u32::try_from(block.len()).ok()? | AS_IT_IS;
        }
        frame[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
    frame.extend_from_slice(&0_u32.to_le_bytes());
    frame.extend_from_slice(&XxHash32::oneshot(0, body).to_le_bytes());
    frame.shrink_to_fit();
    Some(frame)
}
