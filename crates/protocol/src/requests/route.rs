//! 105: the route of a topic.

use bytes::Bytes;

use crate::code::{request, response};
use crate::command::{Command, Fields};
use crate::request::{Request, ResponseError, success};
use crate::route::TopicRoute;

/// Asks a name server for the route of a topic; the answer is `None` when there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetRoute {
    /// Real (namespaced) topic.
    pub topic: String,
}

impl Request for GetRoute {
    const CODE: i32 = request::GET_ROUTEINFO_BY_TOPIC;
    type Response = Option<TopicRoute>;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("topic", self.topic.as_str());
        fields.push("acceptStandardJsonOnly", "true");
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Self::Response, ResponseError> {
        if response.code == response::TOPIC_NOT_EXIST {
            return Ok(None);
        }
        let body = success(response)?.body;
        TopicRoute::parse(&body).map(Some).map_err(|error| ResponseError::Malformed(error.to_string()))
    }
}
