use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::vectors::hex;

// Made by the compressors of the Java client 5.5.0, at its level.
const JAVA_ZLIB: &str =
    "785e85933baa025110447397716383dbff6e77e03284113472703412f76ea83c1e5d7137557038f51ab7fb72be1f977198fbb13d4e8fe736
0e633d5d97f1debdbed7a2fab96f97ebba9effbca4247a098bb6c5c3518495c117d2b64545508418a3170e6a5ba8268aa009a172b625a581
12d221d3486b5b622a8a70864c4db96d5127142109997255dbc2042d258150cddb920a286916649a246d4b0894d40d32b5e897af0925d509
990af7cb6785969263a8fdf0a1a2c590686a3ffb70a8a807246ad5efde082aaa02898af5bbe7808e5241a844fdee052a5a0699a6f7b38f84
8ac6844c9dfbdd9b4245d52153c97ef732a1a5ccff43fd005b2c9036";
const JAVA_LZ4: &str =
    "04224d18607073f1010000f70f7b226f726465724964223a302c22737461747573223a2270616964227d0a1e003739313920006b73686970
706523003f38333823000d3737353723000e66003736373620000f6600023f35393523000e27313423000e66003734333320000f6600023f
33353223000d3732373123000e660028313952010f6600022f313055010e183254010e650028393451010f6500022f383654010e28373854
010e660028373051010f6600022f363254010e28353454010e660028343651010f6600022f333854010e28323954010e660028323152010f
6600022f313355010e183554010e650028393751010f6500022f383954010e28383154010e660028373351010f6600022f363554010e2835
3754010e660028343851010f6600022f343054010e28333254010e660028323452010f6600022f313655010f0854010e6500084f010f6300
022f393252010e28383452010e64002837364f010f6600022f363752010e28353952010e66002835314f010f6600022f343352010e283335
52010e660028323750010f6600022f313955010e28313155010e6600183351010f6500022f393554010e28383654010e650028373851010f
6600022f373054010e28363254010e660028353451010f6600022f343654010e28333854010e660028333051010f6600022d323255015065
64227d0a00000000";
const JAVA_ZSTD: &str =
    "28b52ffd005854060082ca1c1980a769039ac2ff2e1f470a181881f696295364bf34dc2cec3054556386e79ecb9f23a69b4694f4aad951b3
b75f7958fb5e867389736a99115ef6ee0da93207c97556be79d1fee5d024d1ab6a6677d4667dbf474303418e812429010e4a711048194a52
50200a490998a1140204a32010148341a88188b497fd37a033536c117c0411122121024288706705de07e3734ed2c8d5ecaa6dca696955f6
9350e84f06cc4ccc949d292ef1512c5dc5827ae248d35ccc555e800d8442f0d3260d431913c71b65587f15010000";

const ALL: [Compression; 3] = [Compression::Zlib, Compression::Lz4, Compression::Zstd];
const FAR: usize = usize::MAX;

fn orders() -> Vec<u8> {
    let line = |i| {
        let status = if i % 3 == 0 { "paid" } else { "shipped" };
        format!("{{\"orderId\":{},\"status\":\"{status}\"}}\n", i * 7919 % 1000)
    };
    (0..60).map(line).collect::<String>().into_bytes()
}

/// Bytes that nothing compresses.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn inflated(compression: Compression, body: &[u8]) -> Result<Inflated, String> {
    compression.inflate(body, FAR, &|| false)
}

fn whole(compression: Compression, body: &[u8]) -> Bytes {
    match inflated(compression, body) {
        Ok(Inflated::Whole(body)) => body,
        other => panic!("{compression:?}: {other:?}"),
    }
}

fn bad(compression: Compression, body: &[u8]) -> String {
    inflated(compression, body).unwrap_err()
}

/// Checks itself: FLG, BD, and the checksum of both.
fn lz4_frame(flags: u8, sizes: u8, rest: &[u8]) -> Vec<u8> {
    let check = twox_hash::XxHash32::oneshot(0, &[flags, sizes]).to_le_bytes()[1];
    [&[0x04, 0x22, 0x4D, 0x18, flags, sizes, check], rest].concat()
}

#[test]
fn what_java_compresses_is_read() {
    for (compression, body) in [(ALL[0], JAVA_ZLIB), (ALL[1], JAVA_LZ4), (ALL[2], JAVA_ZSTD)] {
        assert_eq!(whole(compression, &hex(body)), orders());
    }
}

#[test]
fn what_is_compressed_is_read_again() {
    let sizes = [1, 2, 64, 4096, 65_536, 65_537, 262_145, 1 << 20, (4 << 20) + 1];
    for compression in ALL {
        for size in sizes {
            let body: Vec<u8> = orders().into_iter().cycle().take(size).collect();
            match compression.compress(&body) {
                Some(compressed) => assert_eq!(whole(compression, &compressed), body),
                None => assert!(size <= 64, "{compression:?} {size}"),
            }
        }
    }
}

#[test]
fn what_does_not_get_smaller_is_not_compressed() {
    for compression in ALL {
        assert_eq!(compression.compress(&noise(100_000)), None, "{compression:?}");
        assert_eq!(compression.compress(b""), None, "{compression:?}");
    }
    // Its second block goes as it is.
    let body = [vec![7; 4 << 20], noise(70_000)].concat();
    assert_eq!(whole(Compression::Lz4, &Compression::Lz4.compress(&body).unwrap()), body);
}

#[test]
fn sys_flags_are_javas() {
    for (compression, sys_flag) in ALL.into_iter().zip([0x301, 0x101, 0x201]) {
        assert_eq!((compression.sys_flag(), Compression::of(sys_flag)), (sys_flag, Ok(compression)));
    }
    assert_eq!((Compression::of(0x1), Compression::of(0x501)), (Ok(Compression::Zlib), Err(5)));
}

#[test]
fn a_bomb_of_each_kind_is_stopped_at_the_limit() {
    for compression in ALL {
        let fits = compression.compress(&vec![0; MAX_INFLATED]).unwrap();
        assert_eq!(compression.most_of(fits.len()), MAX_INFLATED);
        let less = compression.compress(&vec![0; 1 << 20]).unwrap();
        assert!(compression.most_of(less.len()) >= 1 << 20);
        assert_eq!(whole(compression, &fits).len(), MAX_INFLATED);
        let bomb = compression.compress(&vec![0; MAX_INFLATED + 1]).unwrap();
        assert_eq!(bad(compression, &bomb), "more than 33554432 bytes", "{compression:?}");
        assert_eq!(compression.inflate(&bomb, 1000, &|| false), Ok(Inflated::TooLarge), "{compression:?}");
    }
}

#[test]
fn a_bomb_that_says_nothing_of_its_size_is_stopped_as_well() {
    // Blocks of 128 KiB of one letter, 4 bytes each; a window of 1 KiB to 3 TiB.
    for window in [0x38, 0x58, 0xFF] {
        let block = [0x02, 0x00, 0x10, b'x'];
        let head = [0x28, 0xB5, 0x2F, 0xFD, 0x00, window];
        let bomb = [&head[..], &block.repeat(100_000), &[0x01, 0x00, 0x00]].concat();
        assert_eq!(bad(Compression::Zstd, &bomb), "more than 33554432 bytes", "{window}");
        assert_eq!(Compression::Zstd.inflate(&bomb, 1000, &|| false), Ok(Inflated::TooLarge));
        let body = [&head[..], &block.repeat(3), &[0x01, 0x00, 0x00]].concat();
        assert_eq!(whole(Compression::Zstd, &body), vec![b'x'; 3 * 128 * 1024]);
    }
    // One literal, and 255 bytes more of it for each byte of the match's length.
    let length = 4 * 1024 * 1024 - 1024_usize;
    let block = [&[0x1F, b'x', 1, 0][..], &vec![255; length / 255], &[0, 0]].concat();
    let block = [&u32::try_from(block.len()).unwrap().to_le_bytes()[..], &block].concat();
    let bomb = lz4_frame(0x60, 0x70, &[&block.repeat(9)[..], &[0; 4]].concat());
    assert_eq!(bad(Compression::Lz4, &bomb), "more than 33554432 bytes");
    assert_eq!(Compression::Lz4.inflate(&bomb, 1000, &|| false), Ok(Inflated::TooLarge));
}

#[test]
fn what_is_announced_is_not_believed() {
    // Announced are 2^63 bytes of content.
    let sized = [&[0x28, 0xB5, 0x2F, 0xFD, 0xE0][..], &[0, 0, 0, 0, 0, 0, 0, 0x80], &[0x01, 0x00, 0x00]].concat();
    assert_eq!(bad(Compression::Zstd, &sized), "more than 33554432 bytes");
    // Announced are 5, there are 3.
    let content = [&[0x28, 0xB5, 0x2F, 0xFD, 0x20, 5][..], &[0x19, 0x00, 0x00], b"abc"].concat();
    assert!(bad(Compression::Zstd, &content).contains("another size"));
    let mut descriptor = vec![0x68, 0x40, 5, 0, 0, 0, 0, 0, 0, 0];
    descriptor.push(twox_hash::XxHash32::oneshot(0, &descriptor).to_le_bytes()[1]);
    let block = [&[3, 0, 0, 0x80][..], b"abc", &[0; 4]].concat();
    let frame = [&[0x04, 0x22, 0x4D, 0x18][..], &descriptor, &block].concat();
    assert!(bad(Compression::Lz4, &frame).contains("another size"));
    let large = [&(0x0001_0001_u32 | 1 << 31).to_le_bytes()[..], &vec![0; 65_537], &[0; 4]].concat();
    assert!(bad(Compression::Lz4, &lz4_frame(0x60, 0x40, &large)).contains("larger than the frame says"));
}

#[test]
fn checksums_are_compared() {
    for compression in ALL {
        let body = compression.compress(&orders()).unwrap();
        let mut wrong = body.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        assert_ne!(bad(compression, &wrong), "", "{compression:?}");
    }
    let block = [3, 0, 0, 0x80, b'a', b'b', b'c'];
    let check = twox_hash::XxHash32::oneshot(0, b"abc").to_le_bytes();
    let checked = lz4_frame(0x74, 0x40, &[&block[..], &check, &[0; 4], &check].concat());
    assert_eq!(whole(Compression::Lz4, &checked), "abc");
    for place in [6, 14, checked.len() - 1] {
        let mut wrong = checked.clone();
        wrong[place] ^= 1;
        assert!(bad(Compression::Lz4, &wrong).contains("checksum"), "{place}");
    }
}

#[test]
fn frames_one_behind_the_other_are_one_body() {
    for (compression, skipped) in [(Compression::Lz4, 0x50), (Compression::Zstd, 0x5F)] {
        let frame = compression.compress(&orders()).unwrap();
        let nobodys = [skipped, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let body = [&nobodys[..], &frame, &nobodys, &frame].concat();
        assert_eq!(whole(compression, &body), orders().repeat(2));
        assert!(bad(compression, &[&frame[..], b"more"].concat()).contains("no frame begins with"));
        assert!(bad(compression, &body[..body.len() - frame.len() - 1]).contains("cut short"));
    }
}

#[test]
fn blocks_may_refer_to_those_before_them() {
    // Linked: the second block is a match of 8, 8 back, and five literals.
    let blocks = [&[9, 0, 0, 0, 0x80][..], b"abcdefgh", &[9, 0, 0, 0, 0x04, 8, 0, 0x50], b"12345", &[0; 4]].concat();
    assert_eq!(whole(Compression::Lz4, &lz4_frame(0x40, 0x40, &blocks)), "abcdefghabcdefgh12345");
    assert!(bad(Compression::Lz4, &lz4_frame(0x60, 0x40, &blocks)).starts_with("LZ4"));
}

#[test]
fn whatever_is_cut_short_is_told() {
    for compression in ALL {
        let body = compression.compress(&orders()).unwrap();
        for length in 1..body.len() {
            assert!(inflated(compression, &body[..length]).is_err(), "{compression:?} {length}");
        }
        assert!(inflated(compression, b"garbage").is_err());
    }
}

#[test]
fn nothing_is_inflated_for_nobody() {
    for compression in ALL {
        let body = compression.compress(&vec![0; 8 << 20]).unwrap();
        let asked = Cell::new(0);
        let stopped = compression.inflate(&body, FAR, &|| {
            asked.set(asked.get() + 1);
            asked.get() > 1
        });
        assert_eq!((stopped, asked.get()), (Ok(Inflated::Stopped), 2), "{compression:?}");
    }
}

proptest! {
    #[test]
    fn any_body_survives(body in proptest::collection::vec(0..4_u8, 0..2000)) {
        for compression in ALL {
            if let Some(compressed) = compression.compress(&body) {
                prop_assert!(compressed.len() < body.len());
                prop_assert_eq!(whole(compression, &compressed), &body);
            }
        }
    }

    #[test]
    fn damage_is_no_panic(place in any::<proptest::sample::Index>(), byte: u8, cut in any::<proptest::sample::Index>()) {
        for body in [JAVA_ZLIB, JAVA_LZ4, JAVA_ZSTD] {
            let mut body = hex(body);
            let place = place.index(body.len());
            body[place] = byte;
            body.truncate(cut.index(body.len()).max(place) + 1);
            for compression in ALL {
                if let Ok(Inflated::Whole(inflated)) = compression.inflate(&body, 1 << 20, &|| false) {
                    prop_assert!(inflated.len() <= 1 << 20);
                }
            }
        }
    }
}

#[test]
fn what_refers_further_back_than_there_is_room_for_is_too_large_now_and_whole_later() {
    let far: Vec<u8> = (0..700_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    let body = [&far[..600_000], &far[..600_000]].concat();
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::WindowLog(21)).unwrap();
    context.set_parameter(zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
    let mut frame = Vec::with_capacity(2 * body.len());
    context.compress2(&mut frame, &body).unwrap();
    assert!(frame.len() < 700_000, "the second half refers to the first");
    for limit in [200_000, 300_000, 700_000, 1_000_000] {
        assert_eq!(Compression::Zstd.inflate(&frame, limit, &|| false), Ok(Inflated::TooLarge), "{limit}");
    }
    let whole = Compression::Zstd.inflate(&frame, FAR, &|| false).unwrap();
    assert!(whole == Inflated::Whole(body.into()));
}
