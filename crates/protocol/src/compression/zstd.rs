//! Zstandard frames.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;
use zstd_safe::{CCtx, CParameter};

use super::output::{Halt, Output};
use crate::message::MAX_INFLATED;

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// Sixteen magics of frames that are nobody's business.
const SKIPPED: u32 = 0x184D_2A50;
const SKIPPED_MASK: u32 = 0xFFFF_FFF0;

/// In the descriptor: the window is the content.
const SINGLE_SEGMENT: u8 = 0x20;
/// Where the window's size is, unless that is left out.
const WINDOW: usize = 5;
/// As a power of two: no block has more, and no window less here.
const SMALLEST_WINDOW: u32 = 17;

/// The library's own default: half of zlib's time for its size or less.
const LEVEL: i32 = 3;

fn cut_short() -> Halt {
    Halt::bad("Zstandard: the frame is cut short")
}

/// All frames: one behind the other are one body, as in Java.
pub(super) fn inflate(mut body: &[u8], output: &mut Output<'_>) -> Result<(), Halt> {
    while !body.is_empty() {
        let magic = *body.first_chunk::<4>().ok_or_else(cut_short)?;
        if magic == MAGIC {
            body = frame(body, output)?;
        } else if u32::from_le_bytes(magic) & SKIPPED_MASK == SKIPPED {
            let length = body[4..].first_chunk::<4>().ok_or_else(cut_short)?;
            body = body[8..].get(u32::from_le_bytes(*length) as usize..).ok_or_else(cut_short)?;
        } else {
            return Err(Halt::Bad(format!("Zstandard: no frame begins with {:#010x}", u32::from_le_bytes(magic))));
        }
    }
    Ok(())
}

/// One frame; what is behind it.
fn frame<'a>(body: &'a [u8], output: &mut Output<'_>) -> Result<&'a [u8], Halt> {
    let content_size = content_size(body)?;
    if content_size.is_some_and(|size| size > output.room() as u64) {
        return Err(Halt::TooLarge);
    }
    let start = output.len();
    let (head, rest) = body.split_at_checked(WINDOW + 1).ok_or_else(cut_short)?;
    let (head, room) = (bounded(head, output.room()), output.room());
    let is_bounded = head != body[..=WINDOW];
    let mut decoder =
        StreamingDecoder::new(head.as_slice().chain(rest)).map_err(|error| Halt::Bad(format!("Zstandard: {error}")))?;
    output.read(&mut decoder).map_err(|halt| match halt {
        // It may refer to what lies further back than there is room for: whoever has all the room there can be finds out.
        Halt::Bad(_) if is_bounded && room < MAX_INFLATED => Halt::TooLarge,
        halt => halt,
    })?;
    let (source, decoder) = decoder.into_parts();
    if content_size.is_some_and(|size| size != (output.len() - start) as u64) {
        return Err(Halt::bad("Zstandard: the content has another size than the frame says"));
    }
    let checksum = decoder.get_checksum_from_data();
    if checksum.is_some() && checksum != decoder.get_calculated_checksum() {
        return Err(Halt::bad("Zstandard: the content does not fit its checksum"));
    }
    Ok(source.into_inner().1)
}

/// The size of its content, where a frame says it.
fn content_size(frame: &[u8]) -> Result<Option<u64>, Halt> {
    let descriptor = *frame.get(4).ok_or_else(cut_short)?;
    let is_single = descriptor & SINGLE_SEGMENT != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 0x3)];
    let length = match descriptor >> 6 {
        0 => usize::from(is_single),
        power => 1 << power,
    };
    if length == 0 {
        return Ok(None);
    }
    let start = 5 + usize::from(!is_single) + dictionary;
    let field = frame.get(start..start + length).ok_or_else(cut_short)?;
    let value = field.iter().rev().fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    Ok(Some(if length == 2 { value + 256 } else { value }))
}

/// The head of a frame with no larger window than it has use for: the decoder keeps a whole window of bytes back, and a frame may announce
/// any, as those of the highest levels do.
fn bounded(head: &[u8], room: usize) -> Vec<u8> {
    let mut head = head.to_vec();
    if head[4] & SINGLE_SEGMENT == 0 {
        let log = room.next_power_of_two().trailing_zeros().max(SMALLEST_WINDOW);
        let most = u8::try_from((log - 10) << 3).unwrap_or(u8::MAX);
        head[WINDOW] = head[WINDOW].min(most);
    }
    head
}

/// One frame with its content's size and checksum, unless it would be as large as the body.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut context = CCtx::try_create()?;
    context.set_parameter(CParameter::CompressionLevel(LEVEL)).ok()?;
    context.set_parameter(CParameter::ChecksumFlag(true)).ok()?;
    let mut compressed = Vec::with_capacity(body.len());
    context.compress2(&mut compressed, body).ok()?;
    compressed.shrink_to_fit();
    Some(compressed)
}
