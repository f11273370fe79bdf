package org.prunepeft.cli;

import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
    name = "completion",
    mixinStandardHelpOptions = true,
    description = "Prints a script that completes commands and options in a shell.",
    footer = {
      "",
      "Examples:",
      "  source <(./prunepeft completion bash)   for the shell at hand; put it into ~/.bashrc to keep it",
      "  source <(./prunepeft completion zsh)"
    })
final class CompletionCommand implements Callable<Integer> {
  /** Shells that the script runs in. */
  enum Shell {
    BASH,
    ZSH;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "SHELL", description = "One of: ${COMPLETION-CANDIDATES}.")
  private Shell shell;

  @Override
  public Integer call() {
    // One script serves both: in zsh it turns on the completions of bash.
    System.out.print(AutoComplete.bash(spec.root().name(), Main.commandLine()));
    return 0;
  }
}
