//! Access control: the signature over the fields as they came, and what an account may do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::rights::{Demand, Kind, Right, demands};
use crate::protocol::code::response;
use crate::protocol::{Command, Credentials};
use crate::release::Release;
use crate::requests::reply::Reply;

/// A field that 4.9 never signs, and 5.x only for newer clients.
const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";
/// The last version for which 5.x leaves that field out: 4.9.3.
const UNSIGNED_QUERY: i32 = 399;

#[derive(Debug, Clone)]
struct Account {
    access_key: String,
    secret_key: String,
    /// All rights.
    admin: bool,
    rights: Vec<Right>,
}

/// The accounts of all brokers; none means that nothing is checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts(Vec<Account>);

impl Accounts {
    /// Accounts with all rights.
    pub(crate) fn of(credentials: Vec<Credentials>) -> Self {
        let account = |given: Credentials| Account {
            access_key: given.access_key,
            secret_key: given.secret_key,
            admin: true,
            rights: Vec::new(),
        };
        Self(credentials.into_iter().map(account).collect())
    }

    /// Makes an account without rights, or changes its secret.
    pub(crate) fn create(&mut self, access_key: &str, secret_key: &str) {
        match self.0.iter_mut().find(|account| account.access_key == access_key) {
            Some(known) => secret_key.clone_into(&mut known.secret_key),
            None => self.0.push(Account {
                access_key: access_key.to_owned(),
                secret_key: secret_key.to_owned(),
                admin: false,
                rights: Vec::new(),
            }),
        }
    }

    /// Gives an account its rights; whether there is such an account.
    pub(crate) fn grant(&mut self, access_key: &str, rights: Vec<Right>) -> bool {
        let known = self.0.iter_mut().find(|account| account.access_key == access_key);
        known.map(|account| account.rights = rights).is_some()
    }

    /// Gives an account all rights.
    pub(crate) fn promote(&mut self, access_key: &str) {
        self.0.iter_mut().filter(|account| account.access_key == access_key).for_each(|account| account.admin = true);
    }

    /// Whether the request may be executed.
    pub(crate) fn check(&self, release: Release, command: &Command) -> Result<(), Reply> {
        if self.0.is_empty() {
            return Ok(());
        }
        let refuse = |old: String, new: String| match release {
            Release::V4 => Err(Reply::thrown(format!("org.apache.rocketmq.acl.common.AclException: {old}"))),
            Release::V5 => Err(Reply::refuse(response::NO_PERMISSION, new)),
        };
        let Some(name) = command.fields.get("AccessKey").filter(|name| !name.is_empty()) else {
            return refuse("No accessKey is configured".into(), "username cannot be null.".into());
        };
        let Some(account) = self.0.iter().find(|account| account.access_key == name) else {
            return refuse(format!("No acl config for {name}"), format!("User:{name} is not found."));
        };
        if command.fields.get("Signature") != Some(signature(release, command, &account.secret_key).as_str()) {
            return refuse(format!("Check signature failed for accessKey={name}"), "check signature failed.".into());
        }
        if account.admin {
            return Ok(());
        }
        let Some(Demand { kind, name: what, .. }) =
            demands(release, command).into_iter().find(|demand| !demand.is_met_by(&account.rights))
        else {
            return Ok(());
        };
        let no_right =
            format!("User:{name} has no permission to access {kind}:{what} from 127.0.0.1, no matched policies.");
        match kind {
            Kind::Cluster => refuse(
                format!("Need admin permission for request code={}, but accessKey={name} is not", command.code),
                no_right,
            ),
            Kind::Group => refuse(format!("No default permission for group:{what}"), no_right),
            Kind::Topic => refuse(format!("No default permission for topic:{what}"), no_right),
        }
    }
}

fn signature(release: Release, command: &Command, secret: &str) -> String {
    let leaves_out = release == Release::V4 || command.version <= UNSIGNED_QUERY;
    let mut fields: Vec<_> = command
        .fields
        .iter()
        .filter(|(name, _)| *name != "Signature" && !(leaves_out && *name == UNIQUE_KEY_QUERY))
        .collect();
    fields.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    for (_, value) in fields {
        mac.update(value.as_bytes());
    }
    mac.update(&command.body);
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Accounts;
    use crate::access::rights::Right;
    use crate::protocol::{Command, Credentials, signature};
    use crate::release::Release;

    fn credentials(secret: &str) -> Credentials {
        Credentials { access_key: "AK_demo".into(), secret_key: secret.into(), security_token: None, channel: None }
    }

    fn signed(code: i32, fields: &[(&'static str, &str)], secret: &str) -> Command {
        let mut command = Command::request(code, fields.iter().copied().collect(), Bytes::from_static(b"{}"));
        signature::sign(&mut command, &credentials(secret));
        command
    }

    fn refusal(accounts: &Accounts, release: Release, command: &Command) -> Option<(i32, String)> {
        accounts.check(release, command).err().map(|reply| (reply.code, reply.remark.unwrap_or_default()))
    }

    #[test]
    fn every_field_that_came_is_signed() {
        let accounts = Accounts::of(vec![credentials("SK_demo")]);
        for release in [Release::V4, Release::V5] {
            let mut good = signed(105, &[("topic", "orders")], "SK_demo");
            assert_eq!(refusal(&accounts, release, &good), None);
            good.fields.push("bname", "added after signing");
            let code = if release.is_v5() { 16 } else { 1 };
            let (refused, text) = refusal(&accounts, release, &good).unwrap();
            assert!(refused == code && text.to_lowercase().contains("check signature failed"), "{text}");
            let wrong = signed(105, &[("topic", "orders")], "other");
            assert_eq!(refusal(&accounts, release, &wrong).unwrap().0, code);
            let unsigned = Command::request(9999, [("a", "b")].into_iter().collect(), Bytes::new());
            assert_eq!(refusal(&accounts, release, &unsigned).unwrap().0, code);
            assert_eq!(refusal(&Accounts::default(), release, &unsigned), None);
        }
    }

    #[test]
    fn the_query_of_unique_keys_is_signed_as_each_version_does() {
        let accounts = Accounts::of(vec![credentials("SK_demo")]);
        let mut query = signed(12, &[("topic", "t"), ("key", "k")], "SK_demo");
        query.fields.push("_UNIQUE_KEY_QUERY", "true");
        assert_eq!(refusal(&accounts, Release::V4, &query), None);
        assert!(refusal(&accounts, Release::V5, &query).is_some());
        query.version = 399;
        assert_eq!(refusal(&accounts, Release::V5, &query), None);
    }

    #[test]
    fn accounts_of_5_5_need_rights() {
        let mut accounts = Accounts::of(vec![Credentials { access_key: "root".into(), ..credentials("root") }]);
        accounts.create("AK_demo", "SK_demo");
        let send = signed(310, &[("b", "orders")], "SK_demo");
        let max = signed(30, &[("topic", "orders"), ("queueId", "0")], "SK_demo");
        let (code, text) = refusal(&accounts, Release::V5, &send).unwrap();
        assert!(code == 16 && text.contains("has no permission to access Topic:orders"), "{text}");
        let right = |resource: &str, actions: &[&str]| Right {
            resource: resource.into(),
            actions: actions.iter().map(ToString::to_string).collect(),
        };
        assert!(accounts.grant("AK_demo", vec![right("Topic:ord*", &["Pub", "Sub"])]));
        assert_eq!(refusal(&accounts, Release::V5, &send), None);
        assert!(refusal(&accounts, Release::V5, &max).is_some(), "30 needs Get");
        assert!(accounts.grant("AK_demo", vec![right("Topic:orders", &["Get"])]));
        assert_eq!(refusal(&accounts, Release::V5, &max), None);
        assert!(!accounts.grant("nobody", Vec::new()));
        let unsigned_by_4_9 = signed(41, &[], "SK_demo");
        assert_eq!(refusal(&accounts, Release::V4, &unsigned_by_4_9), None, "4.9 does not look at locks");
        let (code, text) = refusal(&accounts, Release::V4, &send).unwrap();
        assert!(code == 1 && text.contains("No default permission for topic:orders"), "{text}");
        let create = signed(17, &[("topic", "x")], "SK_demo");
        assert!(refusal(&accounts, Release::V4, &create).unwrap().1.contains("Need admin permission"));
        accounts.promote("AK_demo");
        assert_eq!(refusal(&accounts, Release::V4, &create), None);
    }
}
