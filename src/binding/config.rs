//! The configuration that the facade hands over, checked and turned into the core's own.

use super::history::Asked;
use crate::client::{ClientOptions, Event, Keyring, Tls, TlsSettings};
use crate::env::Timing;
use crate::error::{ClientError, Code};
use crate::protocol::{Credentials, Invalid, NameServers, limits};
use napi_derive::napi;
use std::time::Duration;

/// What a producer and a consumer have in common. Numbers were checked by the facade.
#[napi(object, object_to_js = false)]
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, by its name")]
pub struct NativeConfig {
    /// The group as the user wrote it.
    pub group_id: String,
    /// In any form that the documentation names.
    pub name_servers: Vec<String>,
    /// Instance id; taken from the endpoint when absent.
    pub namespace: Option<String>,
    /// Part of the client id.
    pub instance_name: Option<String>,
    /// One request, in milliseconds.
    pub request_timeout_ms: f64,
    /// With it every request is signed.
    pub access_key: Option<String>,
    /// Belongs to the access key.
    pub secret_key: Option<String>,
    /// Of temporary credentials.
    pub security_token: Option<String>,
    /// `OnsChannel`, sent only when given.
    pub channel: Option<String>,
    /// When they end, in milliseconds since 1970.
    pub expires_at: Option<f64>,
    /// Whether there are none yet, and a function of the user is to be asked.
    pub asks_for_credentials: bool,
    /// With it every connection speaks TLS.
    pub tls: Option<NativeTls>,
    /// Whether a start waits for topics that do not exist.
    pub wait_for_topics: bool,
    /// Whether records are wanted.
    pub logs: bool,
    /// Whether debug records are wanted, too.
    pub debug: bool,
}

/// How to speak TLS; texts as PEM.
#[napi(object, object_to_js = false)]
#[derive(Clone)]
pub struct NativeTls {
    /// The authorities to trust; empty: the system's.
    pub ca: Vec<String>,
    /// Our certificate.
    pub cert: Option<String>,
    /// Its private key.
    pub key: Option<String>,
    /// What certificates must be for.
    pub servername: Option<String>,
    /// Whether servers must show a certificate that is good for anything.
    pub reject_unauthorized: bool,
}

impl std::fmt::Debug for NativeTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeTls").field("servername", &self.servername).finish_non_exhaustive()
    }
}

impl NativeTls {
    fn check(self) -> Result<Tls, ClientError> {
        let settings = TlsSettings {
            ca: self.ca.into_iter().map(String::into_bytes).collect(),
            cert: self.cert.map(String::into_bytes),
            key: self.key.map(String::into_bytes),
            servername: self.servername,
            trusts_anybody: !self.reject_unauthorized,
        };
        Tls::new(settings)
            .map_err(|(field, problem)| ClientError::new(Code::InvalidArgument, format!("{field}: {problem}")))
    }
}

/// Which records are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    None,
    /// All but those for developers of this package.
    Usual,
    All,
}

impl Records {
    /// Whether there is any use in telling of this.
    pub(super) fn want(self, event: &Event) -> bool {
        match self {
            Self::None => !event.is_record(),
            Self::Usual => !event.is_debug(),
            Self::All => true,
        }
    }
}

impl std::fmt::Debug for NativeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeConfig").field("group_id", &self.group_id).finish_non_exhaustive()
    }
}

/// The core's options, and whether the endpoint or the channel is Alibaba Cloud's.
pub(super) struct Checked {
    pub(super) options: ClientOptions,
    pub(super) alibaba_cloud: bool,
    pub(super) records: Records,
    pub(super) history: Asked,
}

impl NativeConfig {
    /// Everything that types cannot say; names the field.
    pub(super) fn check(self) -> Result<Checked, ClientError> {
        limits::group(&self.group_id).map_err(|invalid| invalid_argument(&invalid))?;
        let servers = NameServers::parse(&self.name_servers.join(";")).map_err(|invalid| invalid_argument(&invalid))?;
        let alibaba_cloud = servers.is_alibaba_cloud() || self.channel.as_deref() == Some("ALIYUN");
        let expires_at = self.expires_at.map(whole);
        let credentials = match (self.access_key, self.secret_key) {
            (Some(access_key), Some(secret_key)) => {
                Some(Credentials { access_key, secret_key, security_token: self.security_token, channel: self.channel })
            }
            (None, None) => None,
            _ => {
                return Err(ClientError::new(
                    Code::InvalidArgument,
                    "credentials: accessKey and secretKey belong together",
                ));
            }
        };
        let request_timeout = milliseconds(self.request_timeout_ms);
        let timing = Timing::default().with_request_timeout(request_timeout);
        let mut options = ClientOptions::new(
            self.group_id,
            servers.endpoints.iter().map(ToString::to_string).collect(),
            self.namespace.or(servers.instance_id),
            self.instance_name.as_deref(),
            None,
            timing,
        );
        options.keyring =
            if self.asks_for_credentials { Keyring::asking() } else { Keyring::of(credentials, expires_at) };
        options.tls = self.tls.map(NativeTls::check).transpose()?;
        options.alibaba_cloud = alibaba_cloud;
        options.wait_for_topics = self.wait_for_topics;
        let records = match (self.logs, self.debug) {
            (false, _) => Records::None,
            (true, false) => Records::Usual,
            (true, true) => Records::All,
        };
        Ok(Checked { options, alibaba_cloud, records, history: Asked::open()? })
    }
}

/// What a function of the user, which was asked for credentials, has answered.
#[napi(object, object_to_js = false)]
pub struct NativeCredentials {
    /// With them every request is signed.
    pub access_key: String,
    /// Belongs to the access key.
    pub secret_key: String,
    /// Of temporary credentials.
    pub security_token: Option<String>,
    /// `OnsChannel`, sent only when given.
    pub channel: Option<String>,
    /// When they end, in milliseconds since 1970.
    pub expires_at: Option<f64>,
}

impl std::fmt::Debug for NativeCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeCredentials").finish_non_exhaustive()
    }
}

impl Checked {
    /// The answer to [`Event::CredentialsWanted`].
    pub(super) fn renewed(&self, answer: NativeCredentials) {
        let NativeCredentials { access_key, secret_key, security_token, channel, expires_at } = answer;
        let credentials = Credentials { access_key, secret_key, security_token, channel };
        self.options.keyring.renewed(credentials, expires_at.map(whole));
    }

    /// The other answer: the function has failed, with what JavaScript keeps under this number.
    pub(super) fn not_renewed(&self, reason: &str, keepsake: u32) {
        let error = ClientError::new(Code::AccessDenied, reason).with_keepsake(keepsake);
        self.options.keyring.failed(error);
    }
}

/// A point of time; what is none is as far as it can be.
#[expect(clippy::cast_possible_truncation, reason = "a saturating conversion is meant")]
fn whole(number: f64) -> i64 {
    number as i64
}

/// A refused argument, by its field.
pub(super) fn invalid_argument(invalid: &Invalid) -> ClientError {
    ClientError::new(Code::InvalidArgument, format!("{}: {}", invalid.field, invalid.problem))
}

/// A number of milliseconds; what is no time is none.
pub(super) fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

/// A number of things; what is no count is none.
#[expect(clippy::cast_sign_loss, reason = "a saturating conversion is meant")]
pub(super) fn count(number: f64) -> usize {
    number as usize
}
