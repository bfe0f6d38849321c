use super::*;
use crate::env::listen;
use crate::error::Code;
use crate::protocol::{Codec, Command, Fields, frame};
use crate::remoting::connection::{Connection, Inbound};
use crate::remoting::outbox::Class;
use bytes::{Bytes, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

struct Nobody;

impl Inbound for Nobody {
    fn request(&self, _connection: &Connection, _command: Command) {}
}

/// An authority, and what it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names, and its key.
    fn signs(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server's side; with an authority for clients it wants their certificates.
fn acceptor((cert, key): &(String, String), clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { ca: vec![authority.pem.clone().into_bytes()], ..TlsSettings::default() }
}

/// A connection to a server that answers each request with its own body, after the handshake or in spite of it.
async fn connected(tls: &Tls, acceptor: Option<TlsAcceptor>) -> Result<Connection, Trouble> {
    let listener = listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let Some(acceptor) = acceptor else {
            // It speaks something else.
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            return;
        };
        if let Ok(mut stream) = acceptor.accept(socket).await {
            let mut buffer = BytesMut::new();
            while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                while let Ok(Some(request)) = frame::decode(&mut buffer) {
                    let answer = request.respond(0, None, request.body.clone());
                    let bytes = frame::encode(&answer, Codec::Json).unwrap();
                    stream.write_all(&bytes).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        }
    });
    let (reader, writer) = crate::env::connect(&address).await.unwrap().into_split();
    let (reader, writer) = tls.secure(&address, reader, writer).await?;
    Ok(Connection::from_halves(&address, reader, writer, Arc::new(Nobody)))
}

async fn trouble(settings: TlsSettings, acceptor: TlsAcceptor) -> String {
    let tls = Tls::new(settings).unwrap();
    match connected(&tls, Some(acceptor)).await {
        Err(trouble) => trouble.to_string(),
        Ok(connection) => {
            // With TLS 1.3 a server says only now what it thinks of our certificate.
            connection.closed().await;
            assert_eq!(connection.reason().code(), Code::Tls, "{:?}", connection.reason());
            connection.reason().message().to_owned()
        }
    }
}

#[tokio::test]
async fn frames_of_every_size_come_and_go_in_order_and_what_left_is_known() {
    let authority = Authority::new("ours");
    let tls = Tls::new(trusting(&authority)).unwrap();
    let server = acceptor(&authority.signs(&["127.0.0.1"], |_| {}), None);
    let connection = connected(&tls, Some(server)).await.unwrap();
    let mut calls = Vec::new();
    for size in [0, 1, 16 * 1024, 64 * 1024, 1024 * 1024, 3 * 1024 * 1024] {
        let body = Bytes::from(vec![u8::try_from(calls.len()).unwrap(); size]);
        let command = Command::request(310, Fields::new(), body.clone());
        let connection = connection.clone();
        calls.push(tokio::spawn(async move {
            let answer = connection.call(command, Class::Control, Duration::from_secs(20)).await.unwrap();
            assert!(answer.body == body, "{size}");
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    connection.close();
    connection.closed().await;
}

#[tokio::test]
async fn each_trouble_has_its_own_words() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let good = authority.signs(&["127.0.0.1"], |_| {});
    let says = async |settings: TlsSettings, server: TlsAcceptor, words: &str| {
        let text = trouble(settings, server).await;
        assert!(text.contains(words), "{text}");
    };
    says(trusting(&other), acceptor(&good, None), "not signed by an authority that is trusted: give tls.ca").await;
    says(trusting(&Authority::new("ours")), acceptor(&good, None), "by another one of that name").await;
    let expired = authority.signs(&["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2));
    says(trusting(&authority), acceptor(&expired, None), "has expired, at 2020-01-02T00:00:00Z").await;
    let early = authority.signs(&["127.0.0.1"], |params| params.not_before = rcgen::date_time_ymd(2990, 1, 1));
    says(trusting(&authority), acceptor(&early, None), "not valid before 2990-01-01T00:00:00Z").await;
    let elsewhere = authority.signs(&["broker-a", "10.0.0.1"], |_| {});
    let words = "is for broker-a, 10.0.0.1, not for 127.0.0.1: give tls.servername";
    says(trusting(&authority), acceptor(&elsewhere, None), words).await;
    let nameless = authority.signs(&[], |_| {});
    says(trusting(&authority), acceptor(&nameless, None), "has no subjectAltName").await;
    let ca = authority.signs(&["127.0.0.1"], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    says(trusting(&authority), acceptor(&ca, None), "the one of an authority").await;
    // With TLS 1.3 the server asks, and says what it thinks when we believe to be done.
    says(trusting(&authority), acceptor(&good, Some(&other)), "give tls.cert and tls.key").await;
    let (cert, key) = authority.signs(&["client"], |_| {});
    let with = |cert: &str, key: &str| TlsSettings {
        cert: Some(cert.as_bytes().to_vec()),
        key: Some(key.as_bytes().to_vec()),
        ..trusting(&authority)
    };
    says(with(&cert, &key), acceptor(&good, Some(&other)), "does not accept the certificate of this client").await;

    let tls = Tls::new(trusting(&authority)).unwrap();
    let text = connected(&tls, None).await.unwrap_err().to_string();
    assert!(text.contains("does not speak TLS"), "{text}");
}

#[tokio::test]
async fn who_is_trusted_is_connected_to() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let elsewhere = authority.signs(&["broker-a"], |_| {});
    let (cert, key) = other.signs(&["client"], |_| {});
    let named = TlsSettings { servername: Some(String::from("broker-a")), ..trusting(&authority) };
    let mutual = TlsSettings { cert: Some(cert.into_bytes()), key: Some(key.into_bytes()), ..named };
    let anybody = TlsSettings { trusts_anybody: true, ..TlsSettings::default() };
    for (settings, clients) in [(mutual, Some(&other)), (anybody, None)] {
        let tls = Tls::new(settings).unwrap();
        let connection = connected(&tls, Some(acceptor(&elsewhere, clients))).await.unwrap();
        let command = Command::request(34, Fields::new(), Bytes::new());
        connection.call(command, Class::Control, Duration::from_secs(20)).await.unwrap();
        connection.close();
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_its_field_and_without_the_key() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let (cert, key) = authority.signs(&["client"], |_| {});
    let (_, other_key) = other.signs(&["client"], |_| {});
    let pem = |text: &str| Some(text.as_bytes().to_vec());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let torn = key.replace("-----END", "----");
    let of = |cert: Option<Vec<u8>>, key: Option<Vec<u8>>| TlsSettings { cert, key, ..TlsSettings::default() };
    for (settings, field, words) in [
        (TlsSettings { ca: vec![b"ca.pem".to_vec()], ..TlsSettings::default() }, "tls.ca", "no certificate"),
        (TlsSettings { servername: Some(String::from("a:9876")), ..TlsSettings::default() }, "tls.servername", "port"),
        (TlsSettings { trusts_anybody: true, ..trusting(&authority) }, "tls.ca", "no use"),
        (of(pem(&cert), None), "tls.key", "together"),
        (of(None, pem(&key)), "tls.cert", "together"),
        (of(pem(&key), pem(&key)), "tls.cert", "no certificate"),
        (of(pem(&cert), pem(&other_key)), "tls.key", "not the key of tls.cert"),
        (of(pem(&cert), pem(encrypted)), "tls.key", "openssl pkey"),
        (of(pem(&cert), pem(&torn)), "tls.key", "no private key"),
    ] {
        let (named, problem) = Tls::new(settings).unwrap_err();
        assert_eq!(named, field, "{problem}");
        assert!(problem.contains(words), "{field}: {problem}");
    }
}
