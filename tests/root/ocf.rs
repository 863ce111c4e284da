//! The resource agent as a cluster calls it: by root, and in a test by nobody.

use super::{as_root, host};

scenarios![
    the_agent_acts_as_the_domino_user needs Root,
    nobody_may_ask_what_it_is_and_no_more needs Root,
];

fn the_agent_acts_as_the_domino_user() {
    let sandbox = host();
    let act = |action: &str| {
        let command = as_root(&sandbox, &["ocf", action]);
        command.env("OCF_RESOURCE_INSTANCE", "dom").run()
    };
    act("validate-all").code(0);
    act("monitor").code(7);
    act("start").code(0);
    assert_eq!(sandbox.launch().uids, [sandbox.ids.0; 3]);
    act("monitor").code(0).quiet();
    act("stop").code(0);
    act("monitor").code(7);
    assert!(sandbox.processes().is_empty());
}

fn nobody_may_ask_what_it_is_and_no_more() {
    let sandbox = host();
    let nobody = |action: &str| {
        let mut entry = sandbox.entry_as_caller();
        entry.ids = Some((65_534, 65_534, Vec::new()));
        as_root(&sandbox, &["ocf", action]).entering(entry).run()
    };
    nobody("meta-data").code(0).quiet();
    for action in ["start", "stop", "monitor", "validate-all"] {
        nobody(action).code(4).stderr_has("ocf-exit-reason:");
    }
    nobody("promote").code(3);
    assert!(sandbox.calls("").is_empty());
}
