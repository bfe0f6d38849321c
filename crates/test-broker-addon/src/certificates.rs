//! An authority for one test broker, and the certificate that it signs: of every name that this machine has for itself.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// What servers of test brokers are called.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// All as PEM.
pub(super) struct Certified {
    pub(super) ca: String,
    pub(super) cert: String,
    pub(super) key: String,
}

pub(super) fn certified() -> Result<Certified, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "TestBroker of rocketmq-orderly");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);

    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, NAMES[0]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Java's own reader of certificates wants to know whose key has signed it.
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Certified { ca, cert: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}
