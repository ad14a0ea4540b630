//! All pages of a list.

use crate::error::CliError;

/// Largest page that the API gives.
pub(crate) const PAGE_SIZE: i32 = 50;
/// More pages than a fleet of a million nodes fills; more means that the bridge gives the same token for ever.
const PAGES_LIMIT: usize = 20_000;

/// One page: entries and where the next begins.
pub(crate) type Page<Entry> = (Option<Vec<Entry>>, Option<String>);

/// Reads pages until the last, or until `wanted` entries are there.
pub(crate) fn read<Entry>(
    wanted: usize,
    mut page: impl FnMut(Option<String>) -> Result<Page<Entry>, CliError>,
) -> Result<Vec<Entry>, CliError> {
    let mut entries = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_LIMIT {
        let (more, next) = page(token)?;
        entries.extend(more.unwrap_or_default());
        token = next.filter(|text| !text.is_empty());
        if token.is_none() || entries.len() >= wanted {
            entries.truncate(wanted);
            return Ok(entries);
        }
    }
    Err(CliError::Senseless(format!("more than {PAGES_LIMIT} pages")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_pages(token: Option<String>) -> Result<Page<i32>, CliError> {
        Ok(match token.as_deref() {
            None => (Some(vec![1, 2]), Some("b".to_owned())),
            Some("b") => (None, Some("c".to_owned())),
            _ => (Some(vec![3]), Some(String::new())),
        })
    }

    #[test]
    fn reads_to_the_last_page_or_to_what_is_wanted() {
        assert_eq!(read(usize::MAX, three_pages).unwrap(), [1, 2, 3]);
        assert_eq!(read(1, three_pages).unwrap(), [1]);
    }

    #[test]
    fn a_bridge_that_never_ends_is_noticed() {
        let endless = |_token| Ok((None::<Vec<i32>>, Some("same".to_owned())));
        assert!(matches!(read(usize::MAX, endless), Err(CliError::Senseless(_))));
    }
}
