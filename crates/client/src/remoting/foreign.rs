//! Peers that do not speak the protocol, told by the first bytes they say: the classics of a wrong port.

/// Bytes that are quoted of a peer that speaks some other text.
const QUOTED: usize = 40;

/// Whether these first bytes are those of HTTP/2: its servers begin with their settings, which would pass as the beginning of a frame
/// with an empty header, and no frame has one.
pub(super) fn is_http2(first: &[u8]) -> bool {
    matches!(first, [0, 0, _, 4, 0, 0, 0, 0, 0, ..])
}

/// What a peer seems to be, by its first bytes, as the end of a sentence.
pub(super) fn speaker(first: &[u8]) -> Option<String> {
    let text: Vec<u8> = first.iter().copied().take(QUOTED).take_while(|byte| matches!(byte, b' '..=b'~')).collect();
    Some(match first {
        _ if is_http2(first) => {
            "it speaks HTTP/2, as the gRPC port (8081) of a 5.x proxy does; this client needs the classic remoting port"
                .into()
        }
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            "it answers as an HTTP server, such as a dashboard or a load balancer".into()
        }
        // A handshake or an alert of SSL 3.0 to TLS 1.3.
        [0x15 | 0x16, 3, 0..=4, ..] => "it speaks TLS, which is not asked of it: tls: true".into(),
        _ if text.len() >= 4 => format!("it begins with {:?}", String::from_utf8_lossy(&text)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Codec, Command, Fields, frame};
    use bytes::Bytes;

    #[test]
    fn classics_are_told_and_nothing_is_made_up() {
        let told = |first: &[u8]| speaker(first).unwrap_or_default();
        assert!(told(b"HTTP/1.1 400 Bad Request\r\n\r\n").contains("HTTP server"));
        assert!(told(&[0x15, 3, 1, 0, 2, 2, 70]).contains("TLS"));
        // SETTINGS of grpc-java's server.
        assert!(told(&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3, 0x7f]).contains("gRPC"));
        assert_eq!(told(b"SSH-2.0-OpenSSH_9.6\r\n"), "it begins with \"SSH-2.0-OpenSSH_9.6\"");
        assert_eq!(told(b"-ERR unknown command\r\n"), "it begins with \"-ERR unknown command\"");
        for silent in [&b""[..], b"\r\n", &[0xff; 64], &[0; 4], &[0, 0, 18, 4]] {
            assert_eq!(speaker(silent), None);
        }
        let frame = frame::encode(&Command::request(34, Fields::new(), Bytes::new()), Codec::Json).unwrap();
        assert_eq!(speaker(&frame), None);
    }
}
