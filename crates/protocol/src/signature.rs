//! Signatures of requests: ACL 1.0, Alibaba Cloud and 5.x authentication share one algorithm.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::command::Command;
use super::hash::java_string_cmp;

const ACCESS_KEY: &str = "AccessKey";
const SECURITY_TOKEN: &str = "SecurityToken";
const CHANNEL: &str = "OnsChannel";
const SIGNATURE: &str = "Signature";

/// An account. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Account name, sent in the clear.
    pub access_key: String,
    /// Never sent.
    pub secret_key: String,
    /// Token of temporary credentials.
    pub security_token: Option<String>,
    /// `OnsChannel`, e.g. `ALIYUN`: only when the user asks for it.
    pub channel: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// Signs a request, last of all: every field it has then is part of the content. Signing again replaces.
pub fn sign(command: &mut Command, credentials: &Credentials) {
    for name in [ACCESS_KEY, SECURITY_TOKEN, CHANNEL, SIGNATURE] {
        command.fields.take(name);
    }
    command.fields.push(ACCESS_KEY, credentials.access_key.as_str());
    if let Some(token) = &credentials.security_token {
        command.fields.push(SECURITY_TOKEN, token.as_str());
    }
    if let Some(channel) = &credentials.channel {
        command.fields.push(CHANNEL, channel.as_str());
    }
    let mut fields: Vec<_> = command.fields.iter().collect();
    fields.sort_unstable_by(|(left, _), (right, _)| java_string_cmp(left, right));
    let values = fields.iter().map(|(_, value)| value.as_bytes());
    let signature = hmac_sha1(&credentials.secret_key, values.chain([&command.body[..]]));
    command.fields.push(SIGNATURE, signature);
}

fn hmac_sha1<'a>(secret: &str, content: impl Iterator<Item = &'a [u8]>) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    for part in content {
        mac.update(part);
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Credentials, hmac_sha1, sign};
    use crate::command::{Command, Fields};
    use crate::queue::MessageQueue;
    use crate::request::Request;
    use crate::requests::{GetRoute, LockQueues};

    fn credentials(token: bool, channel: bool) -> Credentials {
        Credentials {
            access_key: "AK_demo".into(),
            secret_key: "SK_demo".into(),
            security_token: token.then(|| "STS.token".into()),
            channel: channel.then(|| "ALIYUN".into()),
        }
    }

    fn signature(command: &Command, token: bool, channel: bool) -> String {
        let mut command = command.clone();
        sign(&mut command, &credentials(token, channel));
        command.fields.get("Signature").unwrap().to_owned()
    }

    fn request(code: i32, fields: &[(&'static str, &str)], body: &'static str) -> Command {
        Command::request(code, fields.iter().copied().collect::<Fields>(), Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn signatures_are_javas() {
        let commit = [("consumerGroup", "GID_test"), ("topic", "orders"), ("queueId", "2"), ("commitOffset", "123")];
        let lock = LockQueues {
            client_id: "10.0.0.1@4242#1".into(),
            group: "GID_test".into(),
            queues: vec![MessageQueue::new("orders", "broker-a", 0)],
        };
        for (command, [plain, token, channel, both]) in [
            (
                crate::frame::tests::send(),
                [
                    "byjAfKOY+P+OJABn2UmBHXiVsH0=",
                    "LCk/3zqueTIL0NDUXwvzuVdvcsk=",
                    "3efeKuP1CLvSp9gCYQfw1jLlViw=",
                    "UjbePn4ZFcBtB4BDjWAMVBdzh9E=",
                ],
            ),
            (
                request(34, &[], r#"{"clientID":"c1"}"#),
                [
                    "K8Yrp7q4zAY4rOKWjmbuz0mWzfM=",
                    "kkE5UT6dggsHeUvBGvkOYNH6Yao=",
                    "BTig+PUjyO8VNICnt7wIZ6Jjav8=",
                    "P7/l23M7Cj6aKuCGYlSYGgz3HIY=",
                ],
            ),
            (
                lock.command(),
                [
                    "hb0svRSSkC96cVNdPdoA4r3xVVI=",
                    "ZsVsqGvwhs7yugmguCAoS74S1VE=",
                    "eyAHl54sd3zQ0vtrpSZ9ijz8beY=",
                    "EWB/yUpluIHIndsUPlOvtXzVQPE=",
                ],
            ),
            (
                request(15, &commit, ""),
                [
                    "ePpdn/P+UxjKcfx4YGFutZv9vP4=",
                    "YlDH/vGeDr9T68P7Z8UGP/gEK/M=",
                    "qz5GgKxRY+PV78juHj2L684nJug=",
                    "le00MgR3omz6pXkvkap0PGomSqw=",
                ],
            ),
            (
                request(105, &[("topic", "orders")], ""),
                [
                    "hPbmoere6oyNmnQm5iUPvWTq/ok=",
                    "PJeUvU+hfA/EexJcs4ITTq54MQ8=",
                    "y2DhfWVi2Fp+ElnUjLt8/sG94FA=",
                    "mubOHuDzKXywctx0VSHbUTayrfs=",
                ],
            ),
            (
                GetRoute { topic: "orders".into() }.command(),
                [
                    "3ZNPyDEWHFTFG8V3YgEJZllCNEA=",
                    "nHLH2STkLapgJoQQPT9VEYFOJBk=",
                    "mckZYUNhqlvziydSdYcYZ6p9Tvk=",
                    "Y01J8BIPK42VlxccR/bnC2dMF0k=",
                ],
            ),
        ] {
            assert_eq!(signature(&command, false, false), plain, "{command:?}");
            assert_eq!(signature(&command, true, false), token, "{command:?}");
            assert_eq!(signature(&command, false, true), channel, "{command:?}");
            assert_eq!(signature(&command, true, true), both, "{command:?}");
        }
    }

    #[test]
    fn other_alphabets_are_signed_as_utf8() {
        let pull = [
            ("consumerGroup", "GID_测试"),
            ("topic", "orders"),
            ("queueId", "2"),
            ("queueOffset", "5"),
            ("maxMsgNums", "32"),
            ("sysFlag", "2"),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", "15000"),
            ("subVersion", "1700000000000"),
            ("expressionType", "TAG"),
        ];
        assert_eq!(signature(&request(11, &pull, ""), false, false), "d+4BbkKU8PwR3aMcfQ4j84pXGQ8=");
        assert_eq!(signature(&request(11, &pull, ""), true, false), "EEo0CSII+vIP1y4vZ28aKOfot3k=");
    }

    #[test]
    fn the_mac_is_hmac_sha1_in_base64() {
        for (content, key, expected) in [
            ("RocketMQ", "12345678", "IUc8rrO/0gDch8CjObLQsW2rsiA="),
            ("Hello RocketMQ Client ACL Feature", "adiaushdiaushd", "tAb/54Rwwcq+pbH8Loi7FWX4QSQ="),
        ] {
            assert_eq!(hmac_sha1(key, [content.as_bytes()].into_iter()), expected);
        }
    }

    #[test]
    fn signing_again_replaces_account_and_signature() {
        let mut command = request(105, &[("topic", "orders")], "");
        sign(&mut command, &credentials(true, true));
        sign(&mut command, &credentials(false, false));
        let fields: Vec<_> = command.fields.iter().collect();
        assert_eq!(
            fields,
            [("topic", "orders"), ("AccessKey", "AK_demo"), ("Signature", "hPbmoere6oyNmnQm5iUPvWTq/ok=")]
        );
    }

    #[test]
    fn debug_output_has_no_secret() {
        let text = format!("{:?} {:#?}", credentials(true, true), credentials(true, true));
        assert!(text.contains("AK_demo") && !text.contains("SK_demo") && !text.contains("STS.token"), "{text}");
    }
}
