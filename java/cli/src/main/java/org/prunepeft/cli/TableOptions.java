package org.prunepeft.cli;

import picocli.CommandLine.Option;

/** How a command prints its table. */
final class TableOptions {
  @Option(
      names = "--format",
      defaultValue = "md",
      paramLabel = "FORMAT",
      description = "One of ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Table.Format format;

  void print(Table table) {
    System.out.print(table.text(format));
  }
}
