//! What is made from the command line's own definition: shell completions and man pages.

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::Exit;
use super::output::{Output, complain};

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The command whose page is wanted; kfsck's own without
    command: Option<String>,
}

/// Prints the completions of one shell.
pub(crate) fn completions(args: &CompletionsArgs, mut definition: Command) -> Exit {
    let mut output = Output::new();
    clap_complete::generate(args.shell, &mut definition, "kfsck", &mut output.buffer);
    finish(output)
}

/// Prints one man page.
pub(crate) fn man(args: &ManArgs, definition: Command) -> Exit {
    // There is no page for `kfsck help`.
    let mut definition = definition.disable_help_subcommand(true);
    definition.build();
    let wanted = match &args.command {
        None => Some(definition),
        Some(name) => definition.find_subcommand(name).map(|command| command.clone().name(format!("kfsck-{name}"))),
    };
    let Some(command) = wanted else {
        complain(&format!("there is no command {:?}", args.command.as_deref().unwrap_or_default()), None);
        return Exit::USAGE;
    };
    // A page has all options with what they are for, also those that -h leaves out.
    let command = command.mut_args(|arg| arg.hide_short_help(false));
    let mut output = Output::new();
    match clap_mangen::Man::new(command).render(&mut output.buffer) {
        Ok(()) => finish(output),
        Err(error) => {
            complain(&error, None);
            Exit::OPERATIONAL
        }
    }
}

fn finish(mut output: Output) -> Exit {
    match output.flush() {
        Ok(()) => Exit::CLEAN,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::CLEAN,
        Err(error) => {
            complain(&format!("cannot write to standard output: {error}"), None);
            Exit::OPERATIONAL
        }
    }
}
