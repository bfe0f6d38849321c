//! Addresses as users and routes write them.

use std::fmt;
use std::str::FromStr;

use super::limits::Invalid;

/// A host and a port; the host is a name, an IPv4 or a bare IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// Name or address, without brackets.
    pub(crate) host: String,
    /// Port, from 1.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Whether this is an Alibaba Cloud instance: batches there carry one sharding key.
    pub(crate) fn is_alibaba_cloud(&self) -> bool {
        todo!()
    }
}

/// `host:port`, `[ipv6]:port`, or a bare IPv6 address whose last part is the port.
impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let _ = text;
        todo!()
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
pub(crate) struct NameServers {
    /// One at least, without duplicates, in the order given.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Instance id of an `MQ_INST_…` endpoint: the namespace, unless the user names one.
    pub(crate) instance_id: Option<String>,
}

impl NameServers {
    /// Reads `a:1;b:2`, `a:1,b:2`, `http://MQ_INST_….aliyuncs.com:80`, `http://host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        let _ = text;
        todo!()
    }

    /// Whether any of them is an Alibaba Cloud instance.
    pub(crate) fn is_alibaba_cloud(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_alibaba_cloud)
    }
}
