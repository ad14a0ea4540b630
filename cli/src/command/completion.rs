//! `flotilla completion`: what a shell must know to complete command lines.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;

/// Print the completion for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla completion bash > /etc/bash_completion.d/flotilla
  flotilla completion zsh > \"${fpath[1]}/_flotilla\"
  flotilla completion fish > ~/.config/fish/completions/flotilla.fish")]
pub(crate) struct CompletionArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(output: Output, arguments: &CompletionArguments) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "flotilla", &mut script);
    output.print(&String::from_utf8_lossy(&script))?;
    Ok(SUCCESS)
}
