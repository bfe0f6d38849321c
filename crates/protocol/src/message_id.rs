//! Message ids: the sender's unique id and the broker's offset id, both as upper-case hex.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes unique ids: address, process, random number, time and counter. One per client instance.
#[derive(Debug)]
pub struct UniqueIds {
    /// Hex of what does not change: address, process id, random number.
    prefix: String,
    counter: AtomicU32,
}

impl UniqueIds {
    /// `random` must differ between instances: threads and forks share address and process id.
    pub fn new(ip: IpAddr, pid: u32, random: i32) -> Self {
        let ip = match ip {
            IpAddr::V4(ip) => format!("{:08X}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:032X}", ip.to_bits()),
        };
        Self { prefix: format!("{ip}{:04X}{random:08X}", pid & 0xFFFF), counter: AtomicU32::new(0) }
    }

    /// The next id, 32 hex digits, 56 with an IPv6 address. Unique for 65 536 ids per millisecond.
    ///
    /// `ms_of_month`: since local midnight of the first of the month, so that tools can decode it.
    pub fn next(&self, ms_of_month: u32) -> String {
        let count = self.counter.fetch_add(1, Ordering::Relaxed) & 0xFFFF;
        let mut tail = Digits::EMPTY;
        tail.push(ms_of_month.into(), 8);
        tail.push(count.into(), 4);
        [&self.prefix, tail.as_str()].concat()
    }
}

/// Where a broker stored a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetId {
    /// The broker.
    pub address: SocketAddr,
    /// Offset in its commit log.
    pub offset: i64,
}

/// A text that is no offset id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an offset message id: 32 or 56 hex digits are expected")]
pub struct InvalidId;

/// Upper-case hex, in place and by hand, since some is made for every message: the formatting machinery takes five times as long.
#[derive(Debug, Clone, Copy)]
pub struct Digits {
    digits: [u8; 56],
    length: usize,
}

impl Digits {
    const EMPTY: Self = Self { digits: [0; 56], length: 0 };

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.length]).unwrap_or_default()
    }

    fn push(&mut self, value: u64, digits: usize) {
        let end = self.length + digits;
        for (shift, place) in self.digits[self.length..end].iter_mut().rev().enumerate() {
            *place = b"0123456789ABCDEF"[(value >> (4 * shift) & 0xF) as usize];
        }
        self.length = end;
    }
}

impl OffsetId {
    /// The id as text.
    pub fn digits(&self) -> Digits {
        let mut text = Digits::EMPTY;
        match self.address.ip() {
            IpAddr::V4(ip) => text.push(ip.to_bits().into(), 8),
            IpAddr::V6(ip) => {
                for segment in ip.segments() {
                    text.push(segment.into(), 4);
                }
            }
        }
        text.push(self.address.port().into(), 8);
        text.push(self.offset.cast_unsigned(), 16);
        text
    }
}

impl fmt::Display for OffsetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits().as_str())
    }
}

impl FromStr for OffsetId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InvalidId);
        }
        let (ip, rest) = match text.len() {
            32 => {
                let (ip, rest) = text.split_at(8);
                (u32::from_str_radix(ip, 16).map(Ipv4Addr::from_bits).map(IpAddr::V4), rest)
            }
            56 => {
                let (ip, rest) = text.split_at(32);
                (u128::from_str_radix(ip, 16).map(Ipv6Addr::from_bits).map(IpAddr::V6), rest)
            }
            _ => return Err(InvalidId),
        };
        let (port, offset) = rest.split_at(8);
        let port = u32::from_str_radix(port, 16).ok().and_then(|port| u16::try_from(port).ok()).ok_or(InvalidId)?;
        let offset = u64::from_str_radix(offset, 16).map_err(|_| InvalidId)?;
        Ok(Self { address: SocketAddr::new(ip.map_err(|_| InvalidId)?, port), offset: offset.cast_signed() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::IpAddr;

    use super::{InvalidId, OffsetId, UniqueIds};

    #[test]
    fn unique_ids_have_javas_layout() {
        let ids = UniqueIds::new("10.0.0.1".parse().unwrap(), 0x0BAD, 0x18B4_AAC2);
        assert_eq!(ids.next(9), "0A0000010BAD18B4AAC2000000090000");
        assert_eq!(ids.next(10), "0A0000010BAD18B4AAC20000000A0001");

        let ids = UniqueIds::new("fd00::2".parse().unwrap(), 22548, 0x5FFD_2B27);
        assert_eq!(ids.next(0x6EB3_D5AE), "FD00000000000000000000000000000258145FFD2B276EB3D5AE0000");

        let ids = UniqueIds::new("255.0.0.1".parse().unwrap(), 0x0012_3456, -1);
        assert_eq!(ids.next(u32::MAX), "FF0000013456FFFFFFFFFFFFFFFF0000");
    }

    #[test]
    fn ids_of_one_millisecond_differ_across_threads() {
        let ids = UniqueIds::new(IpAddr::from([127, 0, 0, 1]), 1, 1);
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..16_384).map(|_| ids.next(1)).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<HashSet<_>>()
        });
        assert_eq!(made.len(), 65_536);
        assert!(made.contains(&ids.next(1)), "the counter has 16 bits");
        assert!(!made.contains(&ids.next(2)));
    }

    #[test]
    fn offset_ids_are_read_and_written() {
        for (text, address, offset) in [
            ("0A00000200002A9F00000000075BCD15", "10.0.0.2:10911", 123_456_789),
            ("105000000000000000050600300C326B00002A9F00000000075BCD15", "[1050::5:600:300c:326b]:10911", 123_456_789),
            ("0AAF0895000078BF000000000009BB4A", "10.175.8.149:30911", 637_770),
            ("645100FA00002A9F000000489A3AA09E", "100.81.0.250:10911", 0x48_9A3A_A09E),
            (
                "24084004018081003FAA1DDE2B3F898A00002A9F0000000000000CA0",
                "[2408:4004:180:8100:3faa:1dde:2b3f:898a]:10911",
                3232,
            ),
        ] {
            let id = OffsetId { address: address.parse().unwrap(), offset };
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(text.to_lowercase().parse(), Ok(id));
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_no_offset_ids() {
        let good = "0A00000200002A9F00000000075BCD15";
        for text in [
            "",
            "0",
            &good[1..],
            &format!("{good}0"),
            &good.replace("CD", "+D"),
            &good.replace("CD", "é"),
            &good.replace("00002A9F", "00012A9F"),
        ] {
            assert_eq!(text.parse::<OffsetId>(), Err(InvalidId), "{text}");
        }
    }
}
