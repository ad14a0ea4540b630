//! Documents of operators.

use flotilla_document::{Document, Format, Library, compile};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::wire::{Check as _, decode, encode};
use std::collections::BTreeMap;

/// A document in both formats, compiled without values. What is compiled is an order that a node can read.
pub(crate) fn document(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for format in [Format::Json, Format::Yaml] {
        let Ok(document) = Document::parse(text, format) else { continue };
        let Ok(compiled) = compile(&document, &BTreeMap::new(), &Library::new()) else { continue };
        let order = CommandOrder {
            document: "fuzzed".to_owned(),
            document_version: "1".to_owned(),
            parameters: compiled.parameters,
            plan: compiled.plan,
        };
        // Only the size of the whole is looked at elsewhere, when it is signed.
        if order.check().is_ok() {
            let bytes = encode(&order);
            if bytes.len() <= flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES {
                assert_eq!(decode::<CommandOrder>(&bytes).as_ref(), Ok(&order));
            }
        } else {
            panic!("a document was compiled into an order that no node takes: {:?}", order.check());
        }
    }
}
