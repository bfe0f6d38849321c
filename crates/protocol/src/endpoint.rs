//! Addresses as users and routes write them.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::limits::Invalid;

/// Beginning of the host names of Alibaba Cloud instances.
const INSTANCE_PREFIX: &str = "MQ_INST_";

/// A host and a port; the host is a name, an IPv4 or a bare IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    /// Port, from 1.
    pub port: u16,
}

impl Endpoint {
    /// Whether this is an Alibaba Cloud instance: batches there carry one sharding key.
    pub fn is_alibaba_cloud(&self) -> bool {
        self.host.starts_with(INSTANCE_PREFIX) || self.host.to_ascii_lowercase().ends_with(".aliyuncs.com")
    }
}

/// `host:port`, `[ipv6]:port`, or a bare IPv6 address whose last part is the port.
impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |problem: &str| Invalid { field: "address", problem: format!("`{text}` {problem}") };
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(|| invalid("has no port: give host:port"))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let is_address = host.parse::<Ipv6Addr>().is_ok();
        let is_name = bracketed.is_none()
            && !host.is_empty()
            && host.chars().all(|c| !(c.is_whitespace() || c.is_control() || ":/[]@?#,;\"'".contains(c)));
        if !is_address && !is_name {
            return Err(invalid("has no usable host"));
        }
        let digits = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
        let port = digits.then(|| port.parse().ok()).flatten().filter(|port| *port != 0);
        let port = port.ok_or_else(|| invalid("has no usable port: 1 to 65535 is expected"))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What a user gave as name server address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServers {
    /// One at least, without duplicates, in the order given.
    pub endpoints: Vec<Endpoint>,
    /// Instance id of an `MQ_INST_…` endpoint: the namespace, unless the user names one.
    pub instance_id: Option<String>,
}

impl NameServers {
    /// Reads `a:1;b:2`, `a:1,b:2`, `http://MQ_INST_….aliyuncs.com:80`, `http://host:port`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |problem: String| Invalid { field: "nameServer", problem };
        let mut servers = Self { endpoints: Vec::new(), instance_id: None };
        for item in text.split([';', ',']).map(str::trim).filter(|item| !item.is_empty()) {
            // Host names with `_` are no valid URLs: the scheme is cut off by hand, as Java does.
            let item = item.trim_end_matches('/');
            let address = item.rsplit_once('/').map_or(item, |(_, address)| address);
            let endpoint: Endpoint = address.parse().map_err(|error: Invalid| invalid(error.problem))?;
            if servers.instance_id.is_none() {
                servers.instance_id = instance_id(&endpoint.host).map(str::to_owned);
            }
            if !servers.endpoints.contains(&endpoint) {
                servers.endpoints.push(endpoint);
            }
        }
        if servers.endpoints.is_empty() {
            return Err(invalid("must name one address at least".into()));
        }
        Ok(servers)
    }

    /// Whether any of them is an Alibaba Cloud instance.
    pub fn is_alibaba_cloud(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_alibaba_cloud)
    }
}

/// `MQ_INST_<words>_<words>` in front of the first dot of a host name.
fn instance_id(host: &str) -> Option<&str> {
    let (id, _) = host.split_once('.')?;
    let words = id.strip_prefix(INSTANCE_PREFIX)?;
    let is_word = words.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let inner = words.get(1..words.len().checked_sub(1)?)?;
    (is_word && inner.contains('_')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, NameServers};

    fn parse(text: &str) -> (Vec<String>, Option<String>, bool) {
        let servers = NameServers::parse(text).unwrap();
        let cloud = servers.is_alibaba_cloud();
        (servers.endpoints.iter().map(ToString::to_string).collect(), servers.instance_id, cloud)
    }

    #[test]
    fn instances_are_told_from_plain_addresses() {
        let id = "MQ_INST_123456789_BXXUzaee";
        assert_eq!(
            parse("http://MQ_INST_123456789_BXXUzaee.xxx:80"),
            (vec![format!("{id}.xxx:80")], Some(id.into()), true)
        );
        assert_eq!(parse("MQ_INST_1_B.x:80"), (vec!["MQ_INST_1_B.x:80".into()], Some("MQ_INST_1_B".into()), true));
        assert_eq!(parse("http://127.0.0.1:9876"), (vec!["127.0.0.1:9876".into()], None, false));
        assert_eq!(parse("127.0.0.1:9876"), (vec!["127.0.0.1:9876".into()], None, false));
        for (host, cloud) in [("MQ_INST_1.x:80", true), ("MQ_INST__B.x:80", true), ("xMQ_INST_1_B.x:80", false)] {
            assert_eq!(parse(host), (vec![host.into()], None, cloud), "{host}");
        }
        assert!(parse("http://mq.cn-hangzhou.Aliyuncs.com:8080").2);
    }

    #[test]
    fn lists_keep_their_order_and_lose_duplicates() {
        let expected = vec!["a:1".to_owned(), "b-2.c_d:2".into(), "[::1]:3".into()];
        for text in
            ["a:1;b-2.c_d:2;[::1]:3", " a:1 , b-2.c_d:2 ;; a:1, ::1:3 ", "http://a:1/;https://b-2.c_d:2;[::1]:3/"]
        {
            assert_eq!(parse(text).0, expected, "{text}");
        }
    }

    #[test]
    fn ipv6_may_stand_bare_or_in_brackets() {
        for text in ["[fd00::1]:10911", "fd00::1:10911"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), ("fd00::1", 10911));
            assert_eq!(endpoint.to_string(), "[fd00::1]:10911");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for text in [
            "",
            " ; ",
            "localhost",
            "http://",
            ":9876",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:b",
            "a b:1",
            "[::1]",
            "[a]:1",
            "a:b:1",
            "a@b:1",
        ] {
            let invalid = NameServers::parse(text).unwrap_err();
            assert_eq!(invalid.field, "nameServer", "{text}");
        }
    }
}
