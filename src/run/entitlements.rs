//! What steps may do only when the command line allows it.

use crate::diag::{Diagnostic, Style};
use crate::plan::{Action, Device, Plan, Step};
use crate::progress::Numbering;
use crate::request::Allow;

/// Refuses the first step that asks for more than is allowed or can be given. A device that a
/// step can do without is told of, and the step goes without it.
pub(super) fn check(plan: &Plan, allow: &Allow, numbering: &Numbering) -> Result<(), Diagnostic> {
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
            let told = not_given(step, device);
            if device.required {
                return Err(told);
            }
            numbering.warning(told.render(Style::default()));
        }
    }
    Ok(())
}

fn not_given(step: &Step, device: &Device) -> Diagnostic {
    let what = format!("`RUN --device={}` is not supported yet", device.name);
    let (told, hint) = if device.required {
        let hint = "drop `required` if the command can do without the device";
        (Diagnostic::error(what), hint)
    } else {
        let what = format!("{what}: the step runs without the device");
        let hint = "add `required` to end the build instead";
        (Diagnostic::warning(what), hint)
    };
    told.with_label(&step.source, device.span, "")
        .with_hint(hint)
}
