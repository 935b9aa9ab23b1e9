use super::common::Run;
use crate::format::file_name::FileName;
use std::path::Path;
pub(crate) fn dump_small(_p: &Path, _n: &FileName, _run: &mut Run) -> super::dump_log::Outcome {
    Ok(std::ops::ControlFlow::Continue(()))
}
