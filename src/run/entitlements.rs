//! What steps may do only when the command line allows it.

use crate::diag::Diagnostic;
use crate::plan::{Action, Plan};
use crate::request::Allow;

/// Refuses the first step that asks for more than is allowed.
pub(super) fn check(plan: &Plan, allow: &Allow) -> Result<(), Diagnostic> {
    for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
        let Action::Run(run) = &step.action else {
            continue;
        };
        if run.insecure && !allow.insecure {
            let refused = Diagnostic::error("`RUN --security=insecure` is not allowed");
            let refused = refused.with_label(&step.source, step.span, "");
            return Err(refused.with_hint("allow it with `--allow security.insecure`"));
        }
        for device in &run.devices {
            let allowed = allow.all_devices || allow.devices.contains(&device.name);
            if device.required && !allowed {
                let name = &device.name;
                let refused = Diagnostic::error(format!("the device `{name}` is not allowed"));
                let refused = refused.with_label(&step.source, device.span, "");
                return Err(refused.with_hint(format!("allow it with `--allow device={name}`")));
            }
        }
    }
    Ok(())
}
