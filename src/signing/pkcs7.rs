//! The parts of a CMS SignedData (RFC 5652) that a module's signature has, as ASN.1.

use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Choice, Decode, Sequence};
use x509_cert::attr::Attributes;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// `ContentInfo`.
#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

/// `SignedData`. The content that was signed is the module, and not inside.
#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    encapsulated_content: Any,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    certificates: Option<SetOfVec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    revocation_lists: Option<SetOfVec<Any>>,
    signers: SetOfVec<SignerInfo>,
}

/// `IssuerAndSerialNumber`.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub(super) struct IssuerAndSerialNumber {
    pub issuer: Name,
    pub serial_number: SerialNumber,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Choice)]
pub(super) enum SignerIdentifier {
    IssuerAndSerialNumber(IssuerAndSerialNumber),
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    SubjectKeyIdentifier(OctetString),
}

/// `SignerInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub(super) struct SignerInfo {
    version: u8,
    pub signer: SignerIdentifier,
    pub digest: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub signed_attributes: Option<Attributes>,
    signature_algorithm: AlgorithmIdentifierOwned,
    pub signature: OctetString,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    unsigned_attributes: Option<Attributes>,
}

impl der::ValueOrd for SignerInfo {
    fn value_cmp(&self, other: &Self) -> der::Result<std::cmp::Ordering> {
        use der::DerOrd;
        self.signature.der_cmp(&other.signature)
    }
}

/// The first signer of a signature.
///
/// # Errors
/// It is no SignedData, or has no signer.
pub(super) fn first_signer(signature: &[u8]) -> Result<SignerInfo, String> {
    let text = |e: der::Error| e.to_string();
    let info = ContentInfo::from_der(signature).map_err(text)?;
    let data: SignedData = info.content.decode_as().map_err(text)?;
    data.signers.iter().next().cloned().ok_or_else(|| "it has no signer".to_owned())
}
