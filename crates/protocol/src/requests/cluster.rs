//! 106: the brokers that a name server knows, by cluster.

use bytes::Bytes;
use serde::Deserialize;

use crate::code::request;
use crate::command::{Command, Fields};
use crate::json::{self, Filled, Members};
use crate::request::{Request, ResponseError, success};
use crate::route::MAX_BROKERS;

/// Asks a name server for the clusters that have a broker now, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetClusters;

impl Request for GetClusters {
    const CODE: i32 = request::GET_BROKER_CLUSTER_INFO;
    type Response = Vec<String>;

    fn encode(&self) -> (Fields, Bytes) {
        (Fields::new(), Bytes::new())
    }

    fn decode(response: Command) -> Result<Self::Response, ResponseError> {
        let body: ClustersBody = json::from_bytes(&success(response)?.body)?;
        let clusters = body.cluster_addr_table.all()?;
        let inhabited = clusters.into_iter().filter(|(_, Filled(has_brokers))| *has_brokers);
        let mut names: Vec<String> = inhabited.map(|(name, _)| name).collect();
        names.sort_unstable();
        Ok(names)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClustersBody {
    cluster_addr_table: Members<Filled, MAX_BROKERS>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    fn clusters(body: &'static str) -> Result<Vec<String>, ResponseError> {
        let answer = GetClusters.command().respond(0, None, Bytes::from_static(body.as_bytes()));
        GetClusters::decode(answer)
    }

    #[test]
    fn clusters_without_brokers_do_not_count() {
        let body = r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:10911"},"brokerName":"broker-a","cluster":"C"}},
            "clusterAddrTable":{"Old":[],"C":["broker-a"],"B":["x"]}}"#;
        assert_eq!(clusters(body).unwrap(), ["B", "C"]);
        assert_eq!(clusters(r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#).unwrap(), Vec::<String>::new());
        assert!(matches!(clusters("{}"), Err(ResponseError::Malformed(_))));
        let mut refused = GetClusters.command().respond(3, None, Bytes::new());
        refused.language = Language::Java;
        assert!(matches!(GetClusters::decode(refused), Err(ResponseError::Refused(_))));
    }
}
