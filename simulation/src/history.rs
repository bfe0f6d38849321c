//! Those in a world's history that are no clients.

use rocketmq_client::record::Lines;
use rocketmq_history::event::{Event, Hello, Role};

use crate::consumer::GROUP;

/// The first line of somebody who only looks.
pub(crate) fn witness(histories: &Lines, by: &str) {
    let hello = Hello {
        version: 1,
        role: Role::Witness,
        client: by.to_owned(),
        group: GROUP.to_owned(),
        boot: Lines::BOOT.to_owned(),
        wall: rocketmq_simulated_world::wall_ms(),
        by_key: false,
        broadcasting: false,
        mixes_keys: false,
        as_user: false,
    };
    histories.write(by, Event::Hello(hello));
}
