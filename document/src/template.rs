//! `{{ name }}` in the texts of a document, split into text and places for parameters.

use super::model::{Document, Interpolation, ParameterDefinition, ParameterType};
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{Segment, Template};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// The names that templates may use, and their indices in the plan.
pub(crate) struct Scope<'a> {
    names: Vec<Option<Name<'a>>>,
    /// The index of the first of them.
    first: usize,
}

/// A name of a parameter.
#[derive(Clone, Copy)]
struct Name<'a> {
    name: &'a str,
    is_secret: bool,
}

impl<'a> Name<'a> {
    fn of(name: &'a str, definition: &ParameterDefinition) -> Self {
        Self { name, is_secret: definition.r#type == ParameterType::SecureString }
    }
}

impl<'a> Scope<'a> {
    /// The parameters of a document that are spliced into texts. Those that travel as environment variables are not.
    pub(crate) fn of(document: &'a Document, first: usize) -> Self {
        let names = document.parameters.iter().map(|(name, definition)| match definition.interpolation_type {
            Interpolation::Literal => Some(Name::of(name, definition)),
            Interpolation::EnvironmentVariable => None,
        });
        Self { names: names.collect(), first }
    }

    /// All parameters of a document, for what is data and never part of a text that is executed.
    pub(crate) fn of_data(document: &'a Document, first: usize) -> Self {
        Self { names: document.parameters.iter().map(|(name, definition)| Some(Name::of(name, definition))).collect(), first }
    }

    fn place(&self, name: &str) -> Option<Segment> {
        let mut known = self.names.iter().enumerate().filter_map(|(index, known)| Some((index, known.as_ref()?)));
        let (index, known) = known.find(|(_, known)| known.name == name)?;
        let index = u16::try_from(self.first.checked_add(index)?).ok()?;
        Some(if known.is_secret { Segment::Secret(index) } else { Segment::Parameter(index) })
    }

    /// Splits a text, in one pass from left to right. What is no known parameter stays text.
    pub(crate) fn split(&self, text: &str) -> Template {
        let mut segments = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            plain.push_str(before);
            match after.split_once(CLOSE).and_then(|(inside, behind)| Some((self.place(inside.trim_matches([' ', '\t']))?, behind))) {
                Some((place, behind)) => {
                    if !plain.is_empty() {
                        segments.push(Segment::Text(std::mem::take(&mut plain)));
                    }
                    segments.push(place);
                    rest = behind;
                }
                // One brace on: of `{{{ name }}` the last two may open.
                None => {
                    plain.push('{');
                    rest = rest.get(before.len() + 1..).unwrap_or_default();
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || segments.is_empty() {
            segments.push(Segment::Text(plain));
        }
        Template(segments)
    }
}

/// Whether a template holds no parameter, so that its text is known already.
pub(crate) fn is_plain(template: &Template) -> bool {
    template.0.iter().all(|segment| matches!(segment, Segment::Text(_)))
}

/// The text of a template that holds no parameter.
pub(crate) fn plain_text(template: &Template) -> String {
    template.fill(&[] as &[Parameter])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<Segment> {
        let name = |name| Some(Name { name, is_secret: name == "key" });
        Scope { names: vec![name("a"), name("list"), None, name("key")], first: 0 }.split(text).0
    }

    fn plain(text: &str) -> Segment {
        Segment::Text(text.to_owned())
    }

    #[test]
    fn known_names_become_places() {
        assert_eq!(split("{{a}}"), [Segment::Parameter(0)]);
        assert_eq!(split("{{   list }}"), [Segment::Parameter(1)]);
        assert_eq!(split("x {{ a }}{{list}} y"), [plain("x "), Segment::Parameter(0), Segment::Parameter(1), plain(" y")]);
        assert_eq!(split("x {{ key }}"), [plain("x "), Segment::Secret(3)]);
        assert_eq!(split("{{{a}}}"), [plain("{"), Segment::Parameter(0), plain("}")]);
        assert_eq!(split("{{ x {{ a }}"), [plain("{{ x "), Segment::Parameter(0)]);
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in ["", "plain", "{{ b }}", "{{ a", "a }}", "{{}}", "{{ ssm:a }}", "{ { a } }", "{{ a b }}", "${a}", "ä{{ö}}ü"] {
            assert_eq!(split(text), [plain(text)], "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_put_together_is_taken_apart(pieces in vec(prop_oneof!["[^{}]{1,8}".prop_map(Ok), (0_u16..2).prop_map(Err)], 1..12)) {
            let names = ["a", "list"];
            let (mut text, mut expected) = (String::new(), Vec::new());
            for piece in pieces {
                match (piece, expected.last_mut()) {
                    (Ok(piece), Some(Segment::Text(before))) => {
                        text.push_str(&piece);
                        before.push_str(&piece);
                    }
                    (Ok(piece), _) => {
                        text.push_str(&piece);
                        expected.push(Segment::Text(piece));
                    }
                    (Err(index), _) => {
                        text.push_str(&format!("{{{{ {} }}}}", names[usize::from(index)]));
                        expected.push(Segment::Parameter(index));
                    }
                }
            }
            prop_assert_eq!(split(&text), expected);
        }

        #[test]
        fn no_text_is_lost(text in "[{} a\\PC]{0,64}") {
            let kept: String = split(&text).iter().map(|segment| match segment {
                Segment::Text(text) => text.clone(),
                Segment::Parameter(_) | Segment::Secret(_) => "{{a}}".to_owned(),
            }).collect();
            let squeezed = |text: &str| text.replace(' ', "");
            prop_assert_eq!(squeezed(&kept), squeezed(&text));
        }
    }
}
