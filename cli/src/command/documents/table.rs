//! Documents as rows of tables.

use flotilla_api::documents::{DocumentDescription, DocumentIdentifier, DocumentVersionInfo};

use crate::command::date;
use crate::error::CliError;
use crate::output::{Format, Output};

pub(super) fn print_description(output: Output, description: DocumentDescription) -> Result<(), CliError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match output.format {
        Format::Json => output.print_json(&description),
        Format::Table | Format::Text => {
            let row = [&description.name, &description.document_version, &description.default_version].map(text);
            let header = ["NAME", "VERSION", "DEFAULT"];
            output.print_list(&[row.to_vec()], &header, Vec::clone)
        }
    }
}

pub(super) const HEADER: [&str; 7] = ["NAME", "OWNER", "VERSION", "SCHEMA", "FORMAT", "CREATED", "TITLE"];

pub(super) fn row(document: &DocumentIdentifier) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        text(&document.name),
        text(&document.owner),
        text(&document.document_version),
        text(&document.schema_version),
        text(&document.document_format),
        date(document.created_date),
        text(&document.display_name),
    ]
}

pub(super) const VERSIONS_HEADER: [&str; 5] = ["VERSION", "NAME", "DEFAULT", "FORMAT", "CREATED"];

pub(super) fn version_row(version: &DocumentVersionInfo) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let default = if version.is_default_version == Some(true) { "yes" } else { "" };
    vec![
        text(&version.document_version),
        text(&version.version_name),
        default.to_owned(),
        text(&version.document_format),
        date(version.created_date),
    ]
}

/// What is known of a document, a line each.
pub(super) fn description_rows(document: &DocumentDescription) -> Vec<Vec<String>> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default().join(", ");
    let mut rows = vec![
        ("name", text(&document.name)),
        ("title", text(&document.display_name)),
        ("description", text(&document.description)),
        ("owner", text(&document.owner)),
        ("schema", text(&document.schema_version)),
        ("format", text(&document.document_format)),
        ("version", text(&document.document_version)),
        ("version name", text(&document.version_name)),
        ("default version", text(&document.default_version)),
        ("latest version", text(&document.latest_version)),
        ("created", date(document.created_date)),
        ("hash", [text(&document.hash_type), text(&document.hash)].join(" ").trim().to_owned()),
        ("platforms", list(&document.platform_types)),
    ];
    rows.extend(document.tags.iter().flatten().map(|tag| ("tag", format!("{}={}", tag.key, tag.value))));
    rows.extend(document.parameters.iter().flatten().map(|parameter| {
        let default = parameter.default_value.as_ref().map_or_else(|| "needed".to_owned(), |default| format!("default {default:?}"));
        let words = [text(&parameter.name), format!("({}, {default})", text(&parameter.r#type)), text(&parameter.description)];
        ("parameter", words.join(" ").trim().to_owned())
    }));
    rows.retain(|(_, value)| !value.is_empty());
    rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
}

#[cfg(test)]
mod tests {
    use flotilla_api::Timestamp;
    use flotilla_api::documents::DocumentParameter;

    use super::*;
    use crate::output::table;

    #[test]
    fn documents_and_versions_are_lines() {
        let some = |text: &str| Some(text.to_owned());
        let document = DocumentIdentifier {
            name: some("Disk-Report"),
            owner: some("000000000000"),
            document_version: some("2"),
            schema_version: some("2.2"),
            document_format: some("YAML"),
            created_date: Some(Timestamp::from_milliseconds(1_763_764_000_999)),
            ..DocumentIdentifier::default()
        };
        insta::assert_snapshot!(table(&HEADER, &[row(&document)]), @r"
        NAME         OWNER         VERSION  SCHEMA  FORMAT  CREATED               TITLE
        Disk-Report  000000000000  2        2.2     YAML    2025-11-21T22:26:40Z
        ");
        let version = DocumentVersionInfo { document_version: some("2"), is_default_version: Some(true), ..DocumentVersionInfo::default() };
        assert_eq!(version_row(&version)[..3], ["2", "", "yes"]);
    }

    #[test]
    fn a_description_says_what_is_known() {
        let some = |text: &str| Some(text.to_owned());
        let parameter = |name, default| DocumentParameter {
            name: some(name),
            r#type: some("String"),
            default_value: default,
            ..DocumentParameter::default()
        };
        let document = DocumentDescription {
            name: some("Disk-Report"),
            hash: some("ab12"),
            hash_type: some("Sha256"),
            parameters: Some(vec![parameter("path", some("/")), parameter("site", None)]),
            ..DocumentDescription::default()
        };
        insta::assert_snapshot!(table(&["WHAT", "VALUE"], &description_rows(&document)), @r#"
        WHAT       VALUE
        name       Disk-Report
        hash       Sha256 ab12
        parameter  path (String, default "/")
        parameter  site (String, needed)
        "#);
    }
}
