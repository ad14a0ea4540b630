//! THE LIST of SSM's plugins that are known and not run. A document that names one is a document; the step fails on the node, with a
//! sentence that says what there is. A name that is no plugin at all is refused when the document is made.

/// The plugins that are run.
pub(crate) const SUPPORTED: [&str; 6] = [
    "aws:runShellScript",
    "aws:runPowerShellScript",
    "aws:runDocument",
    "aws:downloadContent",
    "aws:runDockerAction",
    "aws:softwareInventory",
];

/// All others that SSM's agent knows, with what there is to say about each. By name.
const NOT_RUN: [(&str, &str); 10] = [
    ("aws:applications", WINDOWS),
    ("aws:cloudWatch", AMAZON),
    ("aws:configureDocker", WINDOWS),
    ("aws:configurePackage", PACKAGES),
    ("aws:domainJoin", AMAZON),
    ("aws:psModule", WINDOWS),
    ("aws:refreshAssociation", ASSOCIATIONS),
    ("aws:updateAgent", SELF_UPDATE),
    ("aws:updateSSMAgent", SELF_UPDATE),
    ("aws:updateSsmAgent", SELF_UPDATE),
];

const WINDOWS: &str = "is for Windows, and this node runs Linux";
const AMAZON: &str = "needs services of Amazon that a fleet does not have";
const PACKAGES: &str = "comes with packages (Distributor), which are not built yet";
const ASSOCIATIONS: &str = "comes with associations (State Manager), which are not built yet";
const SELF_UPDATE: &str = "comes with the agent's update of itself, which is not built yet; until then update its package on the node";

/// The name of a plugin that is known and not run.
pub(crate) fn not_run(name: &str) -> Option<&'static str> {
    NOT_RUN.iter().map(|(known, _)| *known).find(|known| *known == name)
}

/// Why a plugin is not run.
pub(crate) fn why(name: &str) -> String {
    let reason = NOT_RUN.iter().find(|(known, _)| *known == name).map_or("is not supported", |(_, reason)| *reason);
    format!("the plugin {name} {reason}; supported: {}", SUPPORTED.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_apart_from_what_is_supported() {
        assert!(NOT_RUN.is_sorted_by(|left, right| left.0 < right.0));
        assert!(SUPPORTED.iter().all(|name| not_run(name).is_none()));
        assert_eq!(not_run("aws:psModule"), Some("aws:psModule"));
        for (plugin, with) in [
            ("aws:configurePackage", "Distributor"),
            ("aws:updateSsmAgent", "update of itself"),
            ("aws:updateAgent", "update of itself"),
            ("aws:refreshAssociation", "State Manager"),
        ] {
            assert!(why(plugin).starts_with(&format!("the plugin {plugin} comes with ")) && why(plugin).contains(with), "{}", why(plugin));
        }
        assert!(why("aws:psModule").starts_with("the plugin aws:psModule is for Windows"));
    }
}
