//! May this order run? The one place where it is decided: nodes go by it, and bridge and command line show with it what is missing.
//!
//! An order is allowed when any rule of its class is met. A rule is met when enough distinct persons with keys of that rule have signed,
//! enough of them other than the requester, the node is in its scope, the time in its hours, and every other condition is understood. A
//! person counts once however many keys sign, and a key once however often it stands in the envelope.

use super::hours;
use super::label::{Label, Labels};
use super::role::Class;
use super::rule::OperatorRule;
use super::{Trust, TrustKey};
use crate::envelope::Envelope;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

/// Which keys of one bundle have signed an envelope, see [`Trust::signers`]: what takes time is done once. The default is nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    /// SHA-256 of the body of the bundle whose keys these are.
    bundle: [u8; 32],
    keys: BTreeSet<u16>,
}

/// What is asked about an order.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The class that its payload has.
    pub class: Class,
    /// Who asked for it, as the signed body says.
    pub requester: &'a str,
    /// The labels of the node, see [`Labels::signed_over`]. `None`: scopes are not judged, for whoever asks about no certain node.
    pub labels: Option<&'a Labels>,
    /// Trusted Unix time in milliseconds. `None`: hours and the ends of keys are not judged, for who does not know the time yet.
    pub time_ms: Option<u64>,
}

/// An order may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorised {
    /// The first rule that is met, by its name.
    pub rule: String,
    /// Every person whose signature counts in a rule of the class that is for this node, whether or not that rule is met.
    pub persons: BTreeSet<String>,
}

/// How far an order has come under one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// The rule's name.
    pub name: String,
    /// Persons who have signed, with a key that counts.
    pub signed: BTreeSet<String>,
    /// Persons whose only signatures are by keys that have run out.
    pub run_out: BTreeSet<String>,
    /// Persons who could sign and have not.
    pub others: BTreeSet<String>,
    /// How many must sign.
    pub threshold: usize,
    /// How many other than the requester must sign.
    pub approvals: usize,
    /// How many of those who have signed are not the requester.
    pub approved: usize,
    /// It is for nodes with certain labels only.
    pub is_scoped: bool,
    /// The first label of the scope that the node does not have.
    pub out_of_scope: Option<Label>,
    /// It is outside the hours, which begin again then: Unix time in milliseconds.
    pub opens_at_ms: Option<u64>,
    /// The rule has no condition that this build does not know.
    pub is_understood: bool,
}

impl RuleState {
    /// How many persons more must sign at least.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.threshold.saturating_sub(self.signed.len()).max(self.missing_approvals())
    }

    /// How many of them must be others than the requester.
    #[must_use]
    pub fn missing_approvals(&self) -> usize {
        self.approvals.saturating_sub(self.approved)
    }

    /// Whether everything holds but the hours.
    fn is_met_within_its_hours(&self) -> bool {
        self.missing() == 0 && self.out_of_scope.is_none() && self.is_understood
    }

    /// Whether the rule allows the order.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.is_met_within_its_hours() && self.opens_at_ms.is_none()
    }
}

impl fmt::Display for RuleState {
    /// What the rule still asks for, as a part of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule \"{}\"", self.name)?;
        if self.is_met() {
            f.write_str(" is met")?;
        }
        let mut separator = ": ";
        let mut say = |f: &mut fmt::Formatter<'_>, words: fmt::Arguments<'_>| {
            f.write_str(core::mem::replace(&mut separator, ", "))?;
            f.write_fmt(words)
        };
        if self.missing() > 0 {
            let wanted = self.threshold.max(self.approvals);
            say(f, format_args!("{} of {wanted} have signed ({})", wanted.saturating_sub(self.missing()), names(&self.signed)))?;
            say(f, format_args!("{} more must sign of {}", self.missing(), names(&self.others)))?;
        }
        if self.missing_approvals() > 0 {
            say(f, format_args!("{} of them must not be who asked for it", self.missing_approvals()))?;
        }
        if !self.run_out.is_empty() {
            say(f, format_args!("the keys of {} have run out", names(&self.run_out)))?;
        }
        if let Some(label) = &self.out_of_scope {
            say(f, format_args!("it is for nodes with {label}, which this one is not"))?;
        }
        if let Some(at) = self.opens_at_ms {
            say(f, format_args!("its hours begin again at {at} ms"))?;
        }
        if !self.is_understood {
            say(f, format_args!("it has a condition that this build does not know"))?;
        }
        Ok(())
    }
}

fn names(persons: &BTreeSet<String>) -> String {
    if persons.is_empty() {
        return "nobody".to_string();
    }
    persons.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// An order may not run, or not now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAuthorised {
    /// The order's class.
    pub class: Class,
    /// As [`Authorised::persons`].
    pub persons: BTreeSet<String>,
    /// How far it has come under each rule of its class.
    pub rules: Vec<RuleState>,
}

impl NotAuthorised {
    /// When the order may run if nothing else changes: the hours of a rule that is otherwise met. Unix time in milliseconds.
    #[must_use]
    pub fn opens_at_ms(&self) -> Option<u64> {
        self.rules.iter().filter(|rule| rule.is_met_within_its_hours()).filter_map(|rule| rule.opens_at_ms).min()
    }

    /// Whether enough have signed for some rule, and what fails is that the node is not in its scope.
    #[must_use]
    pub fn is_for_other_nodes(&self) -> bool {
        self.rules.iter().any(|rule| rule.missing() == 0 && rule.out_of_scope.is_some())
    }

    /// Whether a rule for other nodes allows the order there, and no rule of its class is for this node: however many more sign, it is none
    /// of this node's.
    #[must_use]
    pub fn is_for_other_nodes_alone(&self) -> bool {
        let is_allowed_there = |rule: &RuleState| rule.missing() == 0 && rule.is_understood;
        self.rules.iter().any(is_allowed_there) && self.rules.iter().all(|rule| rule.out_of_scope.is_some())
    }
}

impl fmt::Display for NotAuthorised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no rule allows this {} order", self.class.as_str())?;
        if self.rules.is_empty() {
            return f.write_str(": there is none for its class");
        }
        self.rules.iter().try_for_each(|rule| write!(f, "; {rule}"))
    }
}

impl core::error::Error for NotAuthorised {}

impl Trust {
    /// Which keys of the bundle have signed `envelope`, each once; those of unknown algorithms have not.
    #[must_use]
    pub fn signers(&self, envelope: &Envelope<'_>) -> Signers {
        let indices = 0..u16::try_from(self.bundle().keys.len()).unwrap_or(u16::MAX);
        Signers { bundle: self.hash(), keys: indices.filter(|index| self.has_signed(*index, envelope)).collect() }
    }

    /// Whether the order of which `asked` speaks may run, by the keys that have signed it. Signers of another bundle are nobody.
    ///
    /// # Errors
    /// What is missing under each rule.
    pub fn authorise(&self, signers: &Signers, asked: &Asked<'_>) -> Result<Authorised, NotAuthorised> {
        let rules = self.rule_states(signers, asked);
        let here = rules.iter().filter(|rule| rule.out_of_scope.is_none() && rule.is_understood);
        let persons = here.flat_map(|rule| rule.signed.iter().cloned()).collect();
        match rules.iter().find(|rule| rule.is_met()) {
            Some(rule) => Ok(Authorised { rule: rule.name.clone(), persons }),
            None => Err(NotAuthorised { class: asked.class, persons, rules }),
        }
    }

    /// How far an order has come under each rule of its class: "1 of 2 have signed".
    #[must_use]
    pub fn rule_states(&self, signers: &Signers, asked: &Asked<'_>) -> Vec<RuleState> {
        let rules = self.bundle().rules.iter().filter(|rule| rule.class == asked.class);
        rules.map(|rule| self.rule_state(rule, signers, asked)).collect()
    }

    /// Whether a key of any rule has signed, of `class` where it is given: the check that comes before decoding, and with the bridge's
    /// role all that a cancel needs. It gives no right to run anything.
    #[must_use]
    pub fn has_operator(&self, signers: &Signers, class: Option<Class>) -> bool {
        let rules = self.bundle().rules.iter().filter(|rule| class.is_none_or(|class| rule.class == class));
        signers.bundle == self.hash() && rules.flat_map(|rule| &rule.keys).any(|index| signers.keys.contains(index))
    }

    fn rule_state(&self, rule: &OperatorRule, signers: &Signers, asked: &Asked<'_>) -> RuleState {
        let keys = rule.keys.iter().filter_map(|index| Some((*index, self.bundle().keys.get(usize::from(*index))?)));
        let has_signed = |index: u16| signers.bundle == self.hash() && signers.keys.contains(&index);
        let is_alive = |key: &TrustKey| asked.time_ms.is_none_or(|time_ms| key.not_after_ms.is_none_or(|end_ms| time_ms < end_ms));
        let (mut signed, mut run_out, mut others) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (index, key) in keys {
            let persons = match (has_signed(index), is_alive(key)) {
                (true, true) => &mut signed,
                (true, false) => &mut run_out,
                (false, true) => &mut others,
                (false, false) => continue,
            };
            persons.insert(key.person.clone());
        }
        run_out.retain(|person| !signed.contains(person));
        others.retain(|person| !signed.contains(person));
        RuleState {
            name: rule.name.clone(),
            threshold: usize::from(rule.threshold),
            approvals: usize::from(rule.approvals),
            approved: signed.iter().filter(|person| !is_same_person(person, asked.requester)).count(),
            signed,
            run_out,
            others,
            is_scoped: !rule.scope.is_empty(),
            out_of_scope: asked.labels.and_then(|labels| rule.scope.iter().find(|label| !labels.has(label)).cloned()),
            opens_at_ms: asked
                .time_ms
                .filter(|time_ms| !hours::is_open(&rule.hours, *time_ms))
                .map(|now| hours::opens_at(&rule.hours, now)),
            is_understood: rule.is_understood(),
        }
    }
}

/// Whether the person of a key is the requester. Generously: an account "ann" is Ann, because what is at stake is whether her own
/// signature counts as that of another.
fn is_same_person(person: &str, requester: &str) -> bool {
    folded(person) == folded(requester)
}

/// What is left of a name where it does not matter how it is written.
pub(super) fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}
