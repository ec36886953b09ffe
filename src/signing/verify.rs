//! Whether the signature of a module is one that a kernel can check with a certificate. Pure: bytes in, an answer out.
//!
//! What a kernel expects (`Documentation/admin-guide/module-signing.rst`, `scripts/sign-file.c`): behind the image a
//! CMS SignedData (RFC 5652) without content and without certificates, whose signer is named by issuer and serial number,
//! or by key identifier.

use super::pkcs7::{SignerIdentifier, first_signer};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, DecodePem, Encode};
use rsa::pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_256, Sha3_384, Sha3_512};
use std::fmt;
use x509_cert::Certificate;
use x509_cert::attr::Attributes;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::name::Name;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Why a signature is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureFlaw {
    Missing,
    /// What is appended is not a signature.
    Malformed(String),
    /// The certificate cannot be read.
    Certificate(String),
    /// It was made with the key of another certificate.
    OtherSigner {
        signer: String,
        certificate: String,
    },
    /// The signature is not that of these bytes.
    Mismatch,
}

impl fmt::Display for SignatureFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no signature is appended"),
            Self::Malformed(why) => write!(f, "the appended signature cannot be read: {why}"),
            Self::Certificate(why) => write!(f, "the certificate cannot be read: {why}"),
            Self::OtherSigner { signer, certificate } => {
                write!(f, "it is signed by {signer:?}, which is not the certificate's {certificate:?}")
            }
            Self::Mismatch => f.write_str("the signature does not match the module and the certificate"),
        }
    }
}

/// How far a signature without flaws was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verification {
    /// It is that of the module and the certificate.
    Verified,
    /// It names the certificate; whether it is that of the module is left to the kernel.
    NotChecked(Unsupported),
}

/// A kind of signature that is not verified here, by its object identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsupported {
    Digest(String),
    Key(String),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(oid) => write!(f, "dkms does not know the digest algorithm {oid}"),
            Self::Key(oid) => write!(f, "dkms does not verify keys of the kind {oid}"),
        }
    }
}

/// Checks the signature of an uncompressed module, given as its image and what is appended to it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn verify(
    image: &[u8],
    signature: &[u8],
    certificate: &[u8],
) -> Result<Verification, SignatureFlaw> {
    let info = first_signer(signature).map_err(SignatureFlaw::Malformed)?;
    let certificate = parse_certificate(certificate).map_err(SignatureFlaw::Certificate)?;
    if !is_of(&info.signer, &certificate) {
        return Err(SignatureFlaw::OtherSigner {
            signer: describe(&info.signer),
            certificate: common_name(&certificate.tbs_certificate.subject),
        });
    }
    let unknown_digest = || {
        let oid = info.digest.oid.to_string();
        Ok(Verification::NotChecked(Unsupported::Digest(oid)))
    };
    let Some((digest, scheme)) = digest(&info.digest.oid, image) else { return unknown_digest() };
    let (digest, scheme) = match &info.signed_attributes {
        None => (digest, scheme),
        Some(attributes) if digest_attribute(attributes).as_deref() == Some(&digest) => {
            let signed = attributes.to_der().map_err(|e| SignatureFlaw::Malformed(e.to_string()))?;
            let Some(signed) = self::digest(&info.digest.oid, &signed) else { return unknown_digest() };
            signed
        }
        Some(_) => return Err(SignatureFlaw::Mismatch),
    };
    let key = &certificate.tbs_certificate.subject_public_key_info;
    if key.algorithm.oid != RSA_ENCRYPTION {
        return Ok(Verification::NotChecked(Unsupported::Key(key.algorithm.oid.to_string())));
    }
    let key = key.to_der().map_err(|e| e.to_string());
    let key = key.and_then(|der| RsaPublicKey::from_public_key_der(&der).map_err(|e| e.to_string()));
    let key = key.map_err(SignatureFlaw::Certificate)?;
    let verified = key.verify(scheme, &digest, info.signature.as_bytes());
    verified.map(|()| Verification::Verified).map_err(|_| SignatureFlaw::Mismatch)
}

/// Who signed, as `modinfo` says it: the common name of the issuer, else the key's identifier.
#[must_use]
pub(crate) fn signer_name(signature: &[u8]) -> Option<String> {
    first_signer(signature).ok().map(|info| describe(&info.signer))
}

/// A certificate as the kernel's keyrings and the firmware's lists know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateIdentity {
    pub der: Vec<u8>,
    /// How `/proc/keys` names it: the subject key identifier, else the serial number, hexadecimal.
    pub key_id: String,
}

/// # Errors
/// The text is not a certificate.
pub(crate) fn identify(certificate: &[u8]) -> Result<CertificateIdentity, String> {
    let certificate = parse_certificate(certificate)?;
    let id = subject_key_identifier(&certificate).unwrap_or_else(|| {
        let serial = certificate.tbs_certificate.serial_number.as_bytes();
        serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(serial).to_vec()
    });
    let der = certificate.to_der().map_err(|e| e.to_string())?;
    Ok(CertificateIdentity { der, key_id: hex(&id) })
}

/// DER, or PEM, where the file may hold the key as well.
fn parse_certificate(text: &[u8]) -> Result<Certificate, String> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let begin = text.windows(BEGIN.len()).position(|window| window == BEGIN);
    match begin {
        Some(at) => Certificate::from_pem(&text[at..]).map_err(|e| e.to_string()),
        None => Certificate::from_der(text).map_err(|e| e.to_string()),
    }
}

fn is_of(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let certified = &certificate.tbs_certificate;
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == certified.issuer && id.serial_number == certified.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            subject_key_identifier(certificate).is_some_and(|own| own == id.as_bytes())
        }
    }
}

fn subject_key_identifier(certificate: &Certificate) -> Option<Vec<u8>> {
    let (_, id) = certificate.tbs_certificate.get::<SubjectKeyIdentifier>().ok().flatten()?;
    Some(id.0.as_bytes().to_vec())
}

fn describe(signer: &SignerIdentifier) -> String {
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => common_name(&id.issuer),
        SignerIdentifier::SubjectKeyIdentifier(id) => hex(id.as_bytes()),
    }
}

fn common_name(name: &Name) -> String {
    let mut attributes = name.0.iter().flat_map(|set| set.0.iter());
    let value = attributes.rfind(|attribute| attribute.oid == COMMON_NAME);
    value.map_or_else(
        || name.to_string(),
        |attribute| String::from_utf8_lossy(attribute.value.value()).into_owned(),
    )
}

fn digest_attribute(attributes: &Attributes) -> Option<Vec<u8>> {
    let attribute = attributes.iter().find(|attribute| attribute.oid == MESSAGE_DIGEST)?;
    let value: OctetString = attribute.values.iter().next()?.decode_as().ok()?;
    Some(value.as_bytes().to_vec())
}

/// `None` for an algorithm that is not known.
fn digest(oid: &ObjectIdentifier, content: &[u8]) -> Option<(Vec<u8>, Pkcs1v15Sign)> {
    macro_rules! by {
        ($digest:ty) => {
            (<$digest>::digest(content).to_vec(), Pkcs1v15Sign::new::<$digest>())
        };
    }
    Some(match oid.to_string().as_str() {
        "1.3.14.3.2.26" => by!(Sha1),
        "2.16.840.1.101.3.4.2.1" => by!(Sha256),
        "2.16.840.1.101.3.4.2.2" => by!(Sha384),
        "2.16.840.1.101.3.4.2.3" => by!(Sha512),
        "2.16.840.1.101.3.4.2.4" => by!(Sha224),
        "2.16.840.1.101.3.4.2.8" => by!(Sha3_256),
        "2.16.840.1.101.3.4.2.9" => by!(Sha3_384),
        "2.16.840.1.101.3.4.2.10" => by!(Sha3_512),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::process::{Command, Output};
    use rstest::rstest;
    use std::path::Path;

    /// A key pair and a signature over `content`, made by openssl in a directory.
    struct Made {
        certificate: Vec<u8>,
        signature: Vec<u8>,
    }

    fn openssl(dir: &Path, args: &str) {
        let command = Command::new("openssl").args(args.split(' ')).dir(dir).stderr(Output::Capture);
        let outcome = command.run().unwrap();
        assert!(outcome.status.success(), "openssl {args}: {}", outcome.stderr_tail());
    }

    fn made(key: &str, sign: &str, content: &[u8]) -> Made {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        std::fs::write(dir.join("content"), content).unwrap();
        openssl(
            dir,
            &format!("req -new -x509 -batch -newkey {key} -nodes -days 9 -subj /CN=tester -keyout k -out c"),
        );
        let sign =
            format!("cms -sign -binary -nocerts -outform DER -signer c -inkey k -in content -out s {sign}");
        openssl(dir, &sign);
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
        Made { certificate: read("c"), signature: read("s") }
    }

    #[rstest]
    #[case::as_sign_file_does("rsa:2048", "-noattr -md sha256")]
    #[case::sha512("rsa:2048", "-noattr -md sha512")]
    #[case::sha1("rsa:2048", "-noattr -md sha1")]
    #[case::sha3("rsa:2048", "-noattr -md sha3-256")]
    #[case::by_key_identifier("rsa:2048", "-noattr -keyid -md sha384")]
    #[case::with_attributes("rsa:2048", "-md sha256")]
    fn signature_holds_for_its_bytes_and_certificate(#[case] key: &str, #[case] sign: &str) {
        let (ours, others) = (made(key, sign, b"image"), made(key, sign, b"image"));
        assert_eq!(verify(b"image", &ours.signature, &ours.certificate), Ok(Verification::Verified));
        assert_eq!(verify(b"imagE", &ours.signature, &ours.certificate), Err(SignatureFlaw::Mismatch));
        let other = verify(b"image", &others.signature, &ours.certificate);
        assert!(matches!(other, Err(SignatureFlaw::OtherSigner { .. })), "{other:?}");
        assert!(signer_name(&ours.signature).is_some_and(|name| !name.is_empty()));
    }

    #[test]
    fn who_signed_is_the_issuer() {
        let made = made("rsa:2048", "-noattr -md sha256", b"x");
        assert_eq!(signer_name(&made.signature).as_deref(), Some("tester"));
        assert_eq!(signer_name(b"SIG"), None);
    }

    #[rstest]
    #[case::key("ec -pkeyopt ec_paramgen_curve:secp384r1", "-noattr -md sha384", "1.2.840.10045.2.1")]
    #[case::digest("rsa:2048", "-noattr -md md5", "1.2.840.113549.2.5")]
    #[case::digest_with_attributes("rsa:2048", "-md md5", "1.2.840.113549.2.5")]
    fn signature_of_an_unknown_kind_is_not_checked(#[case] key: &str, #[case] sign: &str, #[case] oid: &str) {
        let (ours, others) = (made(key, sign, b"image"), made(key, sign, b"image"));
        let Ok(Verification::NotChecked(why)) = verify(b"image", &ours.signature, &ours.certificate) else {
            panic!("checked");
        };
        assert!(why.to_string().ends_with(oid), "{why}");
        let other = verify(b"image", &others.signature, &ours.certificate);
        assert!(matches!(other, Err(SignatureFlaw::OtherSigner { .. })), "{other:?}");
    }

    #[test]
    fn pem_with_leading_key_parses_like_der() {
        let made = made("rsa:2048", "-noattr -md sha256", b"image");
        let pem =
            [b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n".to_vec(), made.certificate]
                .concat();
        assert_eq!(verify(b"image", &made.signature, &pem), Ok(Verification::Verified));
        let identity = identify(&pem).unwrap();
        assert_eq!(identify(&identity.der).unwrap(), identity);
        assert_eq!(identity.key_id.len(), 40);
    }

    #[test]
    fn damage_is_an_answer_and_never_a_panic() {
        let made = made("rsa:2048", "-noattr -md sha256", b"image");
        assert!(matches!(verify(b"", b"SIG", &made.certificate), Err(SignatureFlaw::Malformed(_))));
        assert!(matches!(verify(b"image", &made.signature, b"no"), Err(SignatureFlaw::Certificate(_))));
        for end in 0..made.signature.len() {
            assert!(verify(b"image", &made.signature[..end], &made.certificate).is_err());
        }
        for at in 0..made.signature.len() {
            let mut broken = made.signature.clone();
            broken[at] ^= 0x55;
            let _ = verify(b"image", &broken, &made.certificate);
        }
    }
}
