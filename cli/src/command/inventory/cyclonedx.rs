//! A node's packages as a CycloneDX 1.5 document (ECMA-424), with package URLs where the package manager is known.

use flotilla_api::inventory::{InventoryEntry, InventoryResultItem};
use serde_json::{Value, json};

/// What a document says of its node.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    id: String,
    name: String,
    platform: String,
    platform_version: String,
}

impl Node {
    /// From what `AWS:InstanceInformation` has.
    pub(super) fn new(id: &str, entry: Option<&InventoryEntry>) -> Self {
        let value = |name: &str| entry.and_then(|entry| entry.get(name)).cloned().unwrap_or_default();
        let name = Some(value("ComputerName")).filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_owned());
        Self { id: id.to_owned(), name, platform: value("PlatformName"), platform_version: value("PlatformVersion") }
    }

    /// The distribution, as package URLs name it: `debian`, `ubuntu`, `alpine`.
    fn distribution(&self) -> String {
        const KNOWN: [(&str, &str); 6] = [
            ("red hat", "redhat"),
            ("rhel", "redhat"),
            ("opensuse", "opensuse"),
            ("suse", "suse"),
            ("amazon linux", "amzn"),
            ("oracle", "oracle"),
        ];
        let platform = self.platform.to_lowercase();
        let known = KNOWN.iter().find(|(beginning, _)| platform.starts_with(beginning)).map(|(_, name)| (*name).to_owned());
        known.unwrap_or_else(|| platform.split([' ', '/']).next().unwrap_or_default().to_owned())
    }
}

/// The document of a node.
pub(super) fn document(node: &Node, item: &InventoryResultItem) -> Value {
    let mut components = Vec::new();
    let mut references = std::collections::BTreeSet::new();
    for entry in &item.content {
        let mut component = component(node, entry);
        // References are unique in a document, also where a device has two packages alike.
        let reference = component["bom-ref"].as_str().unwrap_or_default().to_owned();
        if !references.insert(reference.clone()) {
            component["bom-ref"] = json!(format!("{reference}#{}", components.len()));
        }
        components.push(component);
    }
    let mut properties = vec![json!({ "name": "flotilla:node", "value": node.id })];
    if !node.platform.is_empty() {
        properties.push(json!({ "name": "flotilla:platform", "value": format!("{} {}", node.platform, node.platform_version).trim() }));
    }
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": item.capture_time,
            "component": { "type": "device", "bom-ref": node.id, "name": node.name },
            "properties": properties,
        },
        "components": components,
    })
}

fn component(node: &Node, entry: &InventoryEntry) -> Value {
    let value = |name: &str| entry.get(name).map_or("", String::as_str);
    let (name, version) = (value("Name"), whole_version(entry));
    let purl = purl(node, entry);
    let reference = purl.clone().unwrap_or_else(|| format!("{name}@{version}"));
    let mut component = json!({ "type": "library", "bom-ref": reference, "name": name, "version": version });
    let mut set = |member: &str, text: Option<Value>| {
        if let Some(text) = text {
            component[member] = text;
        }
    };
    let text = |name: &str| Some(value(name)).filter(|text| !text.is_empty()).map(|text| json!(text));
    set("purl", purl.map(|purl| json!(purl)));
    set("publisher", text("Publisher"));
    set("description", text("Summary"));
    let website = |url: &str| json!([{ "type": "website", "url": url }]);
    set("externalReferences", Some(value("URL")).filter(|url| url.starts_with("http")).map(website));
    component
}

/// With epoch and release, as the package manager writes it.
fn whole_version(entry: &InventoryEntry) -> String {
    let value = |name: &str| entry.get(name).map_or("", String::as_str);
    let epoch = Some(value("Epoch")).filter(|epoch| !matches!(*epoch, "" | "0" | "(none)")).map(|epoch| format!("{epoch}:"));
    format!("{}{}", epoch.unwrap_or_default(), version_and_release(entry))
}

fn version_and_release(entry: &InventoryEntry) -> String {
    let value = |name: &str| entry.get(name).map_or("", String::as_str);
    let release = Some(value("Release")).filter(|release| !release.is_empty()).map(|release| format!("-{release}"));
    format!("{}{}", value("Version"), release.unwrap_or_default())
}

/// The package URL (github.com/package-url/purl-spec): nothing where the package manager is not known, or has no type of its own there.
fn purl(node: &Node, entry: &InventoryEntry) -> Option<String> {
    let value = |name: &str| entry.get(name).map_or("", String::as_str);
    let kind = match value("PackageManager") {
        "dpkg" => "deb",
        "rpm" => "rpm",
        "apk" => "apk",
        "pacman" => "alpm",
        "opkg" => "opkg",
        _ => return None,
    };
    let is_rpm = kind == "rpm";
    let (name, distribution) = (value("Name"), node.distribution());
    if name.is_empty() {
        return None;
    }
    // Of rpm the epoch is a qualifier, of the others a part of the version.
    let version = if is_rpm { version_and_release(entry) } else { whole_version(entry) };
    let name = if is_rpm { name.to_owned() } else { name.to_lowercase() };
    let place = if distribution.is_empty() { String::new() } else { format!("{}/", encoded(&distribution)) };
    let mut purl = format!("pkg:{kind}/{place}{}", encoded(&name));
    if !version.is_empty() {
        purl.push_str(&format!("@{}", encoded(&version)));
    }
    let epoch = if is_rpm && !matches!(value("Epoch"), "0" | "(none)") { value("Epoch") } else { "" };
    let release = if node.platform_version.is_empty() { String::new() } else { format!("{distribution}-{}", node.platform_version) };
    let qualifiers = [("arch", value("Architecture")), ("distro", release.as_str()), ("epoch", epoch)];
    let qualifiers: Vec<String> =
        qualifiers.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if !qualifiers.is_empty() {
        purl.push_str(&format!("?{}", qualifiers.join("&")));
    }
    Some(purl)
}

/// Percent-encoded as package URLs are: letters, digits, `.`, `-`, `_`, `~` and `:` stand for themselves.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, &str)]) -> InventoryEntry {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn node(platform: &str, version: &str) -> Node {
        Node::new("mi-1", Some(&entry(&[("PlatformName", platform), ("PlatformVersion", version), ("ComputerName", "gateway")])))
    }

    #[test]
    fn package_urls() {
        let openssl = [("Name", "openssl"), ("Version", "3.0.17"), ("Release", "1~deb12u3"), ("Epoch", "1"), ("Architecture", "amd64")];
        for (platform, version, manager, expected) in [
            ("Debian GNU/Linux", "12", "dpkg", Some("pkg:deb/debian/openssl@1:3.0.17-1~deb12u3?arch=amd64&distro=debian-12")),
            ("Fedora Linux", "40", "rpm", Some("pkg:rpm/fedora/openssl@3.0.17-1~deb12u3?arch=amd64&distro=fedora-40&epoch=1")),
            (
                "Red Hat Enterprise Linux",
                "9.4",
                "rpm",
                Some("pkg:rpm/redhat/openssl@3.0.17-1~deb12u3?arch=amd64&distro=redhat-9.4&epoch=1"),
            ),
            ("Arch Linux", "", "pacman", Some("pkg:alpm/arch/openssl@1:3.0.17-1~deb12u3?arch=amd64")),
            ("Debian GNU/Linux", "12", "", None),
            ("Debian GNU/Linux", "12", "snap", None),
        ] {
            let mut package = entry(&openssl);
            package.insert("PackageManager".to_owned(), manager.to_owned());
            assert_eq!(purl(&node(platform, version), &package).as_deref(), expected, "{platform} {manager}");
        }
        let odd = entry(&[("Name", "libstdc++6"), ("Version", "1+b2"), ("PackageManager", "dpkg")]);
        assert_eq!(purl(&node("", ""), &odd).as_deref(), Some("pkg:deb/libstdc%2B%2B6@1%2Bb2"));
    }

    #[test]
    fn a_document_has_unique_references_and_leaves_out_what_is_not_known() {
        let package = |name: &str| entry(&[("Name", name), ("Version", "1")]);
        let item = InventoryResultItem {
            capture_time: Some("2026-11-21T22:26:40Z".to_owned()),
            content: vec![package("a"), package("a"), package("a"), package("b")],
            ..InventoryResultItem::default()
        };
        let document = document(&node("Alpine Linux", "3.20"), &item);
        assert_eq!((&document["bomFormat"], &document["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        assert_eq!(document["metadata"]["component"], json!({ "type": "device", "bom-ref": "mi-1", "name": "gateway" }));
        let references: Vec<&str> = document["components"].as_array().unwrap().iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(references, ["a@1", "a@1#1", "a@1#2", "b@1"]);
        assert_eq!(document["components"][3], json!({ "type": "library", "bom-ref": "b@1", "name": "b", "version": "1" }));
    }
}
