//! The binary (`ROCKETMQ`) form of a header.
